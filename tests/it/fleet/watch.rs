//! Somebody who looks all the time whether a user is let in, at each replica and through the balancer, and remembers
//! what was seen: nobody may be answered by an older state than the one they had seen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Fleet, LOOK, SOON};
use crate::gate::request;
use crate::support::raw::Wire;

/// A user who pays, gives it back, and so on: before the first payment it is stage 0, after it 1, after the refund 2.
pub(super) struct Watched {
    user: String,
    token: String,
    stages: Mutex<Stages>,
}

struct Stages {
    /// The last one that has begun.
    begun: usize,
    /// When each was seen first, by anybody.
    seen: Vec<(usize, Instant)>,
    /// Since when the replicas can all read the ledger; `None` while they cannot.
    ledger_since: Option<Instant>,
}

impl Watched {
    pub(super) fn new(fleet: &Fleet, user: &str) -> Arc<Self> {
        Arc::new(Self {
            user: user.to_owned(),
            token: fleet.shop.token(user),
            stages: Mutex::new(Stages {
                begun: 0,
                seen: Vec::new(),
                ledger_since: Some(Instant::now()),
            }),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stages) -> T) -> T {
        change(&mut self.stages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on the next stage may be seen.
    pub(super) fn next_stage(&self) {
        self.change(|stages| stages.begun += 1);
    }

    /// While the database is away, one replica may have heard what the others cannot.
    pub(super) fn ledger_is_away(&self) {
        self.change(|stages| stages.ledger_since = None);
    }

    pub(super) fn ledger_is_back(&self) {
        self.change(|stages| stages.ledger_since = Some(Instant::now()));
    }

    /// The oldest stage by which a request may be answered that is made now.
    fn floor(&self) -> usize {
        let now = Instant::now();
        self.change(|stages| {
            let Some(since) = stages.ledger_since else {
                return 0;
            };
            let announced = |(_, at): &&(usize, Instant)| now > *at.max(&since) + SOON;
            let known = stages.seen.iter().filter(announced);
            known.map(|(stage, _)| *stage).max().unwrap_or(0)
        })
    }

    /// An answer came. Says by which stage, at least.
    fn saw(&self, status: u16, floor: usize, place: &str) -> usize {
        let is_let_in = match status {
            200 => true,
            403 => false,
            other => unreachable!("{}: {other} from {place}", self.user),
        };
        self.change(|stages| {
            let mut fitting = (floor..=stages.begun).filter(|stage| (stage % 2 == 1) == is_let_in);
            let stage = fitting.next().unwrap_or_else(|| {
                unreachable!(
                    "{}: {status} from {place}, in stage {} and after {floor} was seen",
                    self.user, stages.begun
                )
            });
            if stages.seen.iter().all(|(seen, _)| *seen != stage) {
                stages.seen.push((stage, Instant::now()));
            }
            stage
        })
    }
}

/// Those who look.
pub(super) struct Watchers {
    stop: CancellationToken,
    /// To look at one replica no more.
    leave: HashMap<SocketAddr, CancellationToken>,
    tasks: JoinSet<()>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            stop: CancellationToken::new(),
            leave: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Looks at one replica.
    pub(super) fn at_replica(&mut self, watched: &Arc<Watched>, address: SocketAddr) {
        let watch = watch(Arc::clone(watched), address, true);
        let leave = self.leave.entry(address);
        let leave = leave.or_insert_with(|| self.stop.child_token());
        self.tasks.spawn(until(leave.clone(), watch));
    }

    /// The replica that was there is gone; somebody else may come to listen there.
    pub(super) fn leave(&mut self, address: SocketAddr) {
        if let Some(leave) = self.leave.remove(&address) {
            leave.cancel();
        }
    }

    /// Looks through the balancer, at whichever replica is next.
    pub(super) fn at_balancer(&mut self, watched: &Arc<Watched>, address: SocketAddr) {
        let watch = watch(Arc::clone(watched), address, false);
        self.tasks.spawn(until(self.stop.clone(), watch));
    }

    /// Stops them all; fails if one of them saw what must not be.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("nobody saw an older state than before");
        }
    }
}

async fn until(stop: CancellationToken, watch: impl Future<Output = ()>) {
    stop.run_until_cancelled(watch).await;
}

async fn watch(watched: Arc<Watched>, address: SocketAddr, is_one_replica: bool) {
    let place = if is_one_replica {
        format!("the replica at {address}")
    } else {
        "the balancer".to_owned()
    };
    let mut look = tokio::time::interval(LOOK * 2);
    let mut own = 0;
    loop {
        look.tick().await;
        let floor = watched.floor().max(own);
        // No answer is no answer: the replica was killed, or the balancer has just sent us to such a one.
        if let Some(status) = ask(address, &watched.token).await {
            let stage = watched.saw(status, floor, &place);
            if is_one_replica {
                own = stage;
            }
        }
    }
}

async fn ask(address: SocketAddr, token: &str) -> Option<u16> {
    let bearer = format!("Bearer {token}");
    let mut wire = Wire::over(TcpStream::connect(address).await.ok()?);
    let request = request("GET", "/premium", &[("Authorization", &bearer)], "");
    wire.try_send(request).await.ok()?;
    Some(wire.try_reply(false).await.ok()?.status)
}
