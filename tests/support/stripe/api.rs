//! The API: who may call what, idempotency, and the way to an endpoint.

mod checkout;
mod customers;
mod endpoint;
mod lists;
mod others;
mod subscriptions;
mod webhooks;

use serde_json::{Map, Value};

use super::call::{Call, Kept};
use super::form;
use super::objects::text;
use super::refusal::Refusal;
use super::render;
use super::state::State;
use endpoint::{ENDPOINTS, Endpoint};

use lists::page;

/// How long an idempotency key is kept.
const KEPT: i64 = 24 * 3600;

/// What goes back, but for the headers that every answer has.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status,
            body: refusal.body(),
            headers: Vec::new(),
        }
    }
}

/// A request, read.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// The value of `Authorization`.
    pub(super) authorization: Option<String>,
    pub(super) idempotency_key: Option<String>,
    pub(super) version: Option<String>,
    pub(super) is_form: bool,
    /// Query and form.
    pub(super) encoded: String,
}

/// A call that was let in and is to be done.
pub(super) struct Admitted {
    endpoint: &'static Endpoint,
    /// What stands for `{id}`.
    id: String,
    params: Map<String, Value>,
    key: Option<String>,
}

impl State {
    /// Writes the call down; gives its place in the record.
    pub(super) fn record(&mut self, request: &Request) -> usize {
        self.calls.push(Call {
            method: request.method.clone(),
            path: request.path.clone(),
            params: form::decode(&request.encoded).unwrap_or_default().into(),
            idempotency_key: request.idempotency_key.clone(),
            version: request.version.clone(),
            status: None,
            replayed: false,
        });
        self.calls.len() - 1
    }

    /// Key, right, and idempotency. What is refused here, or was answered before, is an answer at once.
    pub(super) fn admit(&mut self, request: &Request, call: usize) -> Result<Admitted, Answer> {
        let admitted = self
            .let_in(request)
            .map_err(|refusal| Answer::refused(&refusal))?;
        let Some(key) = admitted.key.clone() else {
            return Ok(admitted);
        };
        let now = self.now();
        self.kept.retain(|_, kept| kept.at + KEPT > now);
        let Some(kept) = self.kept.get(&key) else {
            let kept = Kept {
                at: now,
                method: request.method.clone(),
                path: request.path.clone(),
                params: admitted.params.clone(),
                answer: None,
            };
            self.kept.insert(key, kept);
            return Ok(admitted);
        };
        let (status, body) = kept
            .replay(&key, &self.calls[call])
            .map_err(|refusal| Answer::refused(&refusal))?;
        self.calls[call].replayed = true;
        let headers = vec![("idempotent-replayed", "true".to_owned())];
        Err(Answer {
            status,
            body,
            headers,
        })
    }

    fn let_in(&self, request: &Request) -> Result<Admitted, Refusal> {
        self.authenticate(request.authorization.as_deref())?;
        if request
            .version
            .as_deref()
            .is_some_and(|version| !version.starts_with("20"))
        {
            return Err(Refusal::invalid("Invalid Stripe API version"));
        }
        let (endpoint, id) = endpoint(&request.method, &request.path)?;
        self.has_right(endpoint)?;
        if !request.is_form {
            let message = "Invalid request (check that your POST content type is application/x-www-form-urlencoded).";
            return Err(Refusal::invalid(message));
        }
        let params = form::decode(&request.encoded)?;
        // Only POST has idempotency keys; elsewhere they have no effect.
        let key = request
            .idempotency_key
            .clone()
            .filter(|_| request.method == "POST");
        if key
            .as_ref()
            .is_some_and(|key| key.is_empty() || key.len() > 255)
        {
            return Err(Refusal::invalid(
                "Invalid idempotency key: it must have 1 to 255 characters.",
            ));
        }
        Ok(Admitted {
            endpoint,
            id,
            params,
            key,
        })
    }

    fn authenticate(&self, authorization: Option<&str>) -> Result<(), Refusal> {
        let Some(key) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
            let message = "You did not provide an API key. You need to provide your API key in the Authorization \
                header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').";
            return Err(Refusal::invalid(message).status(401));
        };
        if self.settings.keys.contains(key) {
            return Ok(());
        }
        let shown = key.get(..8).unwrap_or_default();
        Err(Refusal::invalid(format!("Invalid API Key provided: {shown}****")).status(401))
    }

    /// The right is checked before the object is looked for.
    fn has_right(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        let access = if endpoint.method == "GET" {
            "read"
        } else {
            "write"
        };
        let right = format!("{}_{access}", endpoint.right);
        if !self.settings.missing_rights.contains(&right) {
            return Ok(());
        }
        let message = format!(
            "The provided key 'rk_test_****' does not have the required permissions for this endpoint on account \
             'acct_standin'. Having the 'rak_{right}' permission would allow this request to continue."
        );
        Err(Refusal::invalid(message)
            .code("more_permissions_required")
            .status(403))
    }

    /// Does what was asked for, and keeps the answer under the key.
    pub(super) fn perform(&mut self, admitted: &Admitted) -> Answer {
        let done = self.done(admitted);
        let about_parameters = done.as_ref().is_err_and(Refusal::is_about_parameters);
        let answer = match done {
            Ok(body) => Answer {
                status: 200,
                body,
                headers: Vec::new(),
            },
            Err(refusal) => Answer::refused(&refusal),
        };
        self.keep(admitted, (!about_parameters).then_some(&answer));
        answer
    }

    /// Fails within: nothing is done, and the failure is kept under the key.
    pub(super) fn break_down(&mut self, admitted: &Admitted) -> Answer {
        let answer = Answer::refused(&Refusal::broken(500));
        self.keep(admitted, Some(&answer));
        answer
    }

    fn keep(&mut self, admitted: &Admitted, answer: Option<&Answer>) {
        let Some(key) = &admitted.key else {
            return;
        };
        match (answer, self.kept.get_mut(key)) {
            (Some(answer), Some(kept)) => kept.answer = Some((answer.status, answer.body.clone())),
            (None, _) | (_, None) => {
                self.kept.remove(key);
            }
        }
    }

    fn done(&mut self, admitted: &Admitted) -> Result<Value, Refusal> {
        let Admitted {
            endpoint,
            id,
            params,
            ..
        } = admitted;
        let params = super::params::check(endpoint.params, params)?;
        let mut found = endpoint.action.run(self, id, &params)?;
        render::expand(&self.objects, &mut found, &params["expand"])?;
        Ok(render::shown(&found, self.settings.older_answers))
    }

    /// The object `id` of a type, which the path names.
    pub(super) fn existing(&self, object: &str, id: &str) -> Result<&Value, Refusal> {
        let found = self
            .objects
            .find(id)
            .filter(|found| text(found, "object") == object && !is_of_other_mode(found));
        let other_mode = if self.settings.live { "test" } else { "live" };
        let missing = || {
            let mut named = id.to_owned();
            let known = self.objects.find(id).is_some_and(is_of_other_mode);
            if known || id.starts_with(&format!("cs_{other_mode}")) {
                named = format!(
                    "{id}'; a similar object exists in {other_mode} mode, but a key of the other was used"
                );
            }
            Refusal::no_such(object, &named, "id").status(404)
        };
        found.ok_or_else(missing)
    }

    /// The customer `id`, which a parameter names, and who must be there to be used.
    pub(super) fn usable_customer(&self, id: &str) -> Result<(), Refusal> {
        let found = self
            .objects
            .find(id)
            .filter(|found| text(found, "object") == "customer");
        let found = found.filter(|customer| customer.get("_deleted").is_none());
        found
            .map(|_| ())
            .ok_or_else(|| Refusal::no_such("customer", id, "customer"))
    }
}

/// Whether no key of this mode sees it.
fn is_of_other_mode(object: &Value) -> bool {
    object.get("_other_mode").is_some()
}

/// The endpoint of `path`, and what stands for its `{id}`.
fn endpoint(method: &str, path: &str) -> Result<(&'static Endpoint, String), Refusal> {
    let found = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.method == method);
    let mut found = found.filter_map(|endpoint| Some((endpoint, endpoint.matches(path)?)));
    let unknown = || {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we \
            can help at https://support.stripe.com/."
        );
        Refusal::invalid(message).status(404)
    };
    found.next().ok_or_else(unknown)
}
