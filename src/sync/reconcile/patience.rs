//! Trying again what a whole look depends on.

use std::time::Duration;

use tokio::time::sleep;

use super::Trouble;
use crate::sync::worker::failure::Failure;

/// Waits between tries of a call that failed; the clients have tried it several times by themselves each time.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Too many requests is no trouble but an order to wait, and obeyed so often in a row.
const ORDERS: usize = 50;
/// The longest wait at one order.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// When the order does not say for how long.
const SHORTEST: Duration = Duration::from_secs(1);

/// What `ask` is answered, tried a few times.
pub(super) async fn patiently<T, E, F>(ask: impl Fn() -> F) -> Result<T, Failure>
where
    Failure: From<E>,
    F: Future<Output = Result<T, E>>,
{
    let (mut tries, mut orders) = (0, 0);
    loop {
        let failure = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => Failure::from(error),
        };
        if is_order(&failure) && orders < ORDERS {
            orders += 1;
            let asked = failure.retry_after().unwrap_or(SHORTEST);
            sleep(asked.clamp(SHORTEST, LONGEST)).await;
        } else if failure.is_retryable() && tries < WAITS.len() {
            sleep(WAITS[tries].max(failure.retry_after().unwrap_or_default().min(LONGEST))).await;
            tries += 1;
        } else {
            return Err(failure);
        }
    }
}

/// Whether the other side only asks for less haste.
fn is_order(failure: &Failure) -> bool {
    match failure {
        Failure::Stripe(error) => error.kind == crate::stripe::Kind::RateLimited,
        Failure::Auth0(error) => error.kind == crate::auth0::Kind::RateLimited,
        Failure::Store(_)
        | Failure::UnknownCustomer(_)
        | Failure::UnknownCheckout(_)
        | Failure::Late(_)
        | Failure::NotKept
        | Failure::Broken => false,
    }
}

impl From<Failure> for Trouble {
    /// A failure that ends the whole look.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error.into(),
            other @ (Failure::Stripe(_)
            | Failure::Auth0(_)
            | Failure::UnknownCustomer(_)
            | Failure::UnknownCheckout(_)
            | Failure::Late(_)
            | Failure::NotKept
            | Failure::Broken) => Self::Away(other.to_string()),
        }
    }
}
