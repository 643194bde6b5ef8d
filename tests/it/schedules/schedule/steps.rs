//! The worker's steps, and what goes wrong in them.

use std::pin::pin;
use std::sync::Arc;

use tollgate::store::Store;
use tollgate::sync::Sync;

use super::Schedule;
use crate::schedules::faults::{self, Held};
use crate::schedules::perils::{Peril, Perils};
use crate::support::auth0::Auth0;
use crate::support::stripe::Fault;
use crate::sync::market::config;

impl Schedule {
    /// A new process, with the ledger of the last.
    pub(super) fn begin_process(&mut self) {
        self.perils = Perils::of(Arc::clone(&self.market.store));
        self.market.parts.store = Arc::clone(&self.perils) as Arc<dyn Store>;
        self.market.sync = Sync::new(self.market.parts.clone(), config());
        self.witness.forget();
    }

    /// The process ends as if by SIGKILL, and starts again.
    pub(super) async fn restart(&mut self, how: &str) {
        self.tell(format!("the process ends {how}"));
        self.market.restart().await;
        self.begin_process();
    }

    /// One step of the worker, with something going wrong, or not.
    pub(super) async fn step(&mut self) {
        let calls = self.random.usize(0..16);
        match self.random.u8(0..20) {
            0..=5 => {}
            6..=9 => {
                let told = faults::some(&mut self.random, &self.market);
                self.tell(format!("faults: {told}"));
            }
            10 | 11 => {
                let peril = [Peril::FailBefore, Peril::FailAfter];
                self.perils
                    .after(calls, self.random.choice(peril).expect("one"));
            }
            12..=14 => {
                let peril = [Peril::EndBefore, Peril::EndAfter];
                self.perils
                    .after(calls, self.random.choice(peril).expect("one"));
            }
            15..=17 => return self.step_held().await,
            _ => return self.step_with_news().await,
        }
        let ended = tokio::select! {
            biased;
            stepped = self.market.sync.step() => Some(format!("{stepped:?}")),
            () = self.perils.ended() => None,
            () = self.watch() => None,
        };
        self.after_step(ended, &format!("after {calls} calls of the ledger"))
            .await;
    }

    /// A step that ends with the process, in the middle of a call.
    async fn step_held(&mut self) {
        let (held, told) = Held::by_lot(&mut self.random, &self.market);
        let ended = tokio::select! {
            biased;
            stepped = self.market.sync.step() => Some(format!("{stepped:?}")),
            () = held.reached(&self.market) => None,
            () = self.watch() => None,
        };
        self.after_step(ended, &format!("at {told}")).await;
    }

    async fn after_step(&mut self, ended: Option<String>, told: &str) {
        self.perils.none();
        faults::mend(&self.market);
        self.witness.check_roles(&self.market.auth0);
        match ended {
            Some(stepped) => self.tell(format!("step: {stepped}")),
            None => self.restart(told).await,
        }
    }

    /// A step that takes so long that something happens, and some events come, before it is over.
    pub(super) async fn step_with_news(&mut self) {
        let (method, path) = ("GET", "/v1/checkout/sessions");
        self.market.stripe.fault_next(1, method, path, Fault::Late);
        let calls = self.market.stripe.calls_of(method, path).len();
        // A worker of its own, which does not borrow what happens meanwhile.
        let sync = Sync::new(self.market.parts.clone(), config());
        let mut step = pin!(sync.step());
        let ended = tokio::select! {
            biased;
            stepped = &mut step => Some(stepped),
            () = self.market.stripe.until_calls(calls + 1, method, path) => None,
        };
        let stepped = if let Some(stepped) = ended {
            stepped
        } else {
            self.tell("while a step goes on:".to_owned());
            faults::mend(&self.market);
            self.act().await;
            self.collect();
            if self.random.bool() {
                self.deliver().await;
            } else {
                let batch = std::mem::take(&mut self.waiting);
                self.receive(batch).await;
            }
            self.market.stripe.release();
            step.await
        };
        self.after_step(Some(format!("{stepped:?}")), "").await;
    }

    /// Looks at roles whenever Auth0 is asked for something; never ends.
    async fn watch(&self) {
        let look = |auth0: &Auth0| {
            self.witness.check_roles(auth0);
            false
        };
        self.market.auth0.until(look).await;
    }
}
