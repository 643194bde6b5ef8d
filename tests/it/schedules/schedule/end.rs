//! The end of a schedule: everything is mended, every event comes or is made up for, and all must be as Stripe says.

use tollgate::store::EventState;

use super::Schedule;
use crate::schedules::oracle::assert_settled;
use crate::schedules::witness::assert_only_managed;

impl Schedule {
    /// Everything is mended, and comes; then all must be as Stripe says.
    pub(super) async fn end(&mut self) {
        self.tell("the end:".to_owned());
        let may_lose = self.buyers.iter().all(|buyer| !buyer.has_bought_by_link);
        let loses = may_lose && self.random.u8(0..3) == 0;
        if loses {
            self.lose_some();
        }
        self.deliver_all().await;
        if loses {
            for place in 0..self.buyers.len() {
                let buyer = &self.buyers[place];
                let told = buyer.be_heard_of(&mut self.random, &self.market).await;
                self.tell(told);
            }
            self.look().await;
            self.deliver_all().await;
            for buyer in &mut self.buyers {
                buyer.notice_all();
            }
        }
        self.entitle();
        self.look().await;
        self.check().await;
    }

    /// Some events never come.
    fn lose_some(&mut self) {
        let count = self.random.usize(0..=self.waiting.len());
        for _ in 0..count {
            let lost = self
                .waiting
                .swap_remove(self.random.usize(..self.waiting.len()));
            self.tell(format!("lost: {} {}", lost.kind, lost.id));
        }
    }

    /// What waits comes, until nothing more does: what the worker does makes events too.
    async fn deliver_all(&mut self) {
        while !self.waiting.is_empty() {
            let batch = std::mem::take(&mut self.waiting);
            self.receive(batch).await;
            // No later event makes up for what goes wrong from here on.
            for number in 0..self.random.u8(0..5) {
                if number == 0 && self.random.bool() {
                    self.step_with_news().await;
                } else {
                    self.step().await;
                }
                self.look().await;
            }
            self.market.settle().await;
            self.look().await;
        }
        self.market.settle().await;
        self.look().await;
    }

    async fn check(&self) {
        for (place, buyer) in self.buyers.iter().enumerate() {
            let unnoticed = buyer.sessions_elsewhere();
            assert!(unnoticed.is_empty(), "nobody noticed {unnoticed:?}");
            let plan = buyer.bought.plan(&self.market.stripe);
            let row = self.market.store.entitlement(&buyer.user).await;
            let Some(row) = row.expect("a ledger") else {
                assert_eq!(plan, "free", "{} bought unnoticed", buyer.user);
                continue;
            };
            if buyer.is_guest_of_honour && row.changed_at.is_none() && plan == "free" {
                continue; // What was given by hand is left to whoever never bought.
            }
            assert_settled(&self.market, &buyer.user, plan, &buyer.others).await;
            self.witness.check_end(place);
        }
        assert_only_managed(&self.market, &self.managed);
        let totals = self.market.store.totals().await.expect("totals");
        let jobs = (totals.queued, totals.running, totals.dead);
        assert_eq!(jobs, (0, 0, 0), "jobs are left: queued, running, dead");
        for id in &self.acknowledged {
            let event = self.market.store.event(id).await.expect("a ledger");
            let event = event.unwrap_or_else(|| unreachable!("{id} was taken and is lost"));
            let done = [EventState::Processed, EventState::Ignored];
            assert!(done.contains(&event.state), "{id} is {:?}", event.state);
        }
    }
}
