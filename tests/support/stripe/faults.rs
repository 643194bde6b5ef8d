//! Ways in which a call can go wrong, to order or by chance.

use serde_json::Value;

use super::api::Answer;
use super::refusal::Refusal;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status from the edge; nothing was done, nothing is kept.
    Status {
        status: u16,
        /// `Retry-After`, seconds.
        retry_after: Option<u32>,
        /// `Stripe-Should-Retry`.
        should_retry: Option<bool>,
    },
    /// 500 from within; nothing was done, and the answer is kept under the idempotency key.
    Broken,
    /// Nothing is done, and no answer ever comes.
    Hang,
    /// The call is done, and answered, only when it is released.
    Hold,
    /// The call is done at once, and answered when it is released.
    Late,
    /// The connection ends before anything is done.
    CutBefore,
    /// The call is done, and its answer is lost.
    CutAfter,
    /// The call is done, and this comes instead of its answer, status 200.
    Garbage(&'static str),
}

impl Fault {
    /// This status, without a word about trying again.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            should_retry: None,
        }
    }

    /// 429, to be tried again after so many seconds.
    pub(crate) fn rate_limited(retry_after: u32) -> Self {
        Self::Status {
            status: 429,
            retry_after: Some(retry_after),
            should_retry: None,
        }
    }

    /// This status, and `Stripe-Should-Retry`.
    pub(crate) fn should_retry(status: u16, should_retry: bool) -> Self {
        Self::Status {
            status,
            retry_after: None,
            should_retry: Some(should_retry),
        }
    }
}

/// The answer with a status from the edge.
pub(super) fn edge(status: u16, retry_after: Option<u32>, should_retry: Option<bool>) -> Answer {
    let refusal = match status {
        429 => Refusal::invalid(
            "Request rate limit exceeded. You can learn more about rate limits here \
            https://stripe.com/docs/rate-limits.",
        )
        .code("rate_limit")
        .status(status),
        409 => Refusal::invalid(
            "This object cannot be accessed right now because another API request or Stripe \
            process is currently accessing it.",
        )
        .code("lock_timeout")
        .status(status),
        400..500 => Refusal::invalid("Refused").status(status),
        _ => Refusal::broken(status),
    };
    let mut answer = Answer::refused(&refusal);
    if status == 429 {
        answer
            .headers
            .push(("stripe-rate-limited-reason", "global-rate".to_owned()));
    }
    if let Some(seconds) = retry_after {
        answer.headers.push(("retry-after", seconds.to_string()));
    }
    if let Some(retry) = should_retry {
        answer
            .headers
            .push(("stripe-should-retry", retry.to_string()));
    }
    answer
}

/// The faults that are in force.
#[derive(Default)]
pub(super) struct Faults {
    orders: Vec<Order>,
    chance: Option<Chance>,
}

struct Order {
    method: String,
    /// What the path begins with.
    path: String,
    fault: Fault,
    /// For how many calls; `None` until it is mended.
    left: Option<usize>,
}

struct Chance {
    random: fastrand::Rng,
    per_mille: u32,
    choice: Vec<Fault>,
}

impl Faults {
    pub(super) fn order(&mut self, method: &str, path: &str, fault: Fault, left: Option<usize>) {
        self.orders.push(Order {
            method: method.to_owned(),
            path: path.to_owned(),
            fault,
            left,
        });
    }

    /// From now on so many calls of a thousand go wrong, in one of these ways.
    pub(super) fn by_chance(&mut self, seed: u64, per_mille: u32, choice: &[Fault]) {
        self.chance = Some(Chance {
            random: fastrand::Rng::with_seed(seed),
            per_mille,
            choice: choice.to_vec(),
        });
    }

    pub(super) fn mend(&mut self) {
        *self = Self::default();
    }

    /// The fault for the next call of `method` and `path`; the oldest order first.
    pub(super) fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        self.orders.retain(|order| order.left != Some(0));
        let fits = |order: &&mut Order| order.method == method && path.starts_with(&order.path);
        if let Some(order) = self.orders.iter_mut().find(fits) {
            order.left = order.left.map(|left| left - 1);
            return Some(order.fault.clone());
        }
        let chance = self.chance.as_mut()?;
        let hit = chance.random.u32(0..1000) < chance.per_mille;
        hit.then(|| chance.random.choice(&chance.choice).cloned())?
    }
}

/// 200 with a text that is no answer.
pub(super) fn garbage(text: &str) -> Answer {
    Answer {
        status: 200,
        body: Value::String(text.to_owned()),
        headers: Vec::new(),
    }
}
