//! Making something new, and not twice.

use serde_json::Value;

use super::super::api::{Again, Api, Call};
use super::super::error::{Error, Kind};

/// Makes something by `call`, whose answer `read` reads. When it is there already, or the answer is lost, `existing`
/// looks for it, and it is made a second time only where it is not found.
pub(super) async fn make<T>(
    api: &Api,
    call: &Call<'_>,
    read: impl Fn(&Value) -> Option<T>,
    existing: impl AsyncFn() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let mut last_try = false;
    loop {
        let (error, again) = match attempt(api, call, &read).await {
            Ok(made) => return Ok(made),
            Err(failed) => failed,
        };
        if !may_exist(&error.kind) {
            return Err(error);
        }
        match existing().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if again == Again::Once && !last_try => last_try = true,
            // What hindered the making says more than what hindered the looking.
            Ok(None) | Err(_) => return Err(error),
        }
    }
}

async fn attempt<T>(
    api: &Api,
    call: &Call<'_>,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, (Error, Again)> {
    let body = api.send_once(call).await?;
    let made = serde_json::from_slice(&body)
        .ok()
        .and_then(|body| read(&body));
    made.ok_or_else(|| (call.error(Kind::Unreadable), Again::No))
}

/// Whether what was to be made may be there after such a failure.
fn may_exist(kind: &Kind) -> bool {
    match kind {
        Kind::Unreachable | Kind::Api(_) | Kind::Unreadable => true,
        // 409 is Auth0's word for a name that is taken; older answers say 400.
        Kind::Invalid(status) => matches!(status, 400 | 409),
        Kind::RateLimited | Kind::Client | Kind::Scope(_) | Kind::NoUser | Kind::NoRole(_) => false,
    }
}
