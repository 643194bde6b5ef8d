//! Whose an object is: by the customer it names, else along the way of its money.

use serde_json::{Value, json};

use super::Client;
use super::call::Call;
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::json;
use crate::stripe::object::{Whose, read};

pub(super) const INVOICE: &str = "/v1/invoices/{id}";
const DISPUTE: &str = "/v1/disputes/{id}";
const REFUND: &str = "/v1/refunds/{id}";
pub(super) const REFUNDS: &str = "/v1/refunds";

/// Pages that are gone through for one object. Its event tells of something new, and the newest stand first: five
/// hundred leave room for whoever asks late.
const PAGES: usize = 5;

const UNSEEN: &str = "whom some things name stays unknown";

/// The path of an object of this type; `None` for types that have no owner.
fn template(object: &str) -> Option<&'static str> {
    Some(match object {
        "customer" => super::CUSTOMER,
        "subscription" => super::SUBSCRIPTION,
        "checkout.session" => super::SESSION,
        "charge" => super::CHARGE,
        "payment_intent" => super::PAYMENT_INTENT,
        "invoice" => INVOICE,
        "dispute" => DISPUTE,
        "refund" => REFUND,
        _ => return None,
    })
}

impl Client {
    /// Whose the object `id` of type `object` (`charge`, `dispute`, `refund`, `invoice`, `payment_intent`,
    /// `checkout.session`, `subscription`, `customer`) is; `None` when there is no such object or type.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn whose(&self, object: &str, id: &str) -> Result<Option<Whose>, Error> {
        let Some(template) = template(object) else {
            return Ok(None);
        };
        let found = self.find(template, id, Params::none()).await;
        let found = if object == "customer" {
            // It is its own, whatever else it would say.
            let bare = || Some(json!({ "id": id, "object": object }));
            self.unless_lacking(found, UNSEEN)?.unwrap_or_else(bare)
        } else {
            found?
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let mut whose = read::whose(&found).ok_or_else(|| super::unreadable(template))?;
        match object {
            "customer" => whose.customer = Some(id.to_owned()),
            "charge" | "payment_intent" | "dispute" | "refund" => {
                self.follow(object, &found, &mut whose).await?;
            }
            _ => {}
        }
        Ok(Some(whose))
    }

    /// Whose the dispute or refund `id` is, which is not to be asked for by itself: it is looked for among the newest.
    /// `None` when it is not there, or there is no such list.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn whose_listed(&self, object: &str, id: &str) -> Result<Option<Whose>, Error> {
        let list = match object {
            "dispute" => super::purchase::DISPUTES,
            "refund" => REFUNDS,
            _ => return Ok(None),
        };
        let mut after = None;
        for _ in 0..PAGES {
            let call = Call::get(list, Params::none());
            let as_it_is = |object: &Value| Some(object.clone());
            let page = self.sender.page(call, after.as_deref(), as_it_is).await;
            let Some(page) = self.unless_lacking(page, UNSEEN)? else {
                return Ok(None);
            };
            let is_it = |object: &&Value| json::id_of(object).as_deref() == Some(id);
            if let Some(found) = page.items.iter().find(is_it) {
                let mut whose = read::whose(found).ok_or_else(|| super::unreadable(list))?;
                self.follow(object, found, &mut whose).await?;
                return Ok(Some(whose));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// Goes from a dispute or refund to its charge, from there to its payment, and from there to the session that
    /// took it, until a customer is known: disputes and refunds name none, and guests have none.
    async fn follow(&self, object: &str, found: &Value, whose: &mut Whose) -> Result<(), Error> {
        let mut intent = match object {
            "payment_intent" => json::id_of(found),
            _ => json::id(found, "payment_intent"),
        };
        if let (None, Some(charge)) = (&whose.customer, json::id(found, "charge"))
            && let Some(charge) = self.find(super::CHARGE, &charge, Params::none()).await?
        {
            whose.learn(&charge);
            intent = intent.or_else(|| json::id(&charge, "payment_intent"));
        }
        let (None, Some(intent)) = (&whose.customer, intent) else {
            return Ok(());
        };
        if object != "payment_intent"
            && let Some(payment) = self
                .find(super::PAYMENT_INTENT, &intent, Params::none())
                .await?
        {
            whose.learn(&payment);
        }
        if whose.customer.is_none() && whose.owner.is_nobody() {
            let by_payment = Params::none().with(&["payment_intent"], &intent);
            let call = Call::get(super::SESSIONS, by_payment);
            let listed = self.sender.list(call, read::whose).await;
            let listed = self.unless_lacking(listed, UNSEEN)?.unwrap_or_default();
            for found in listed {
                whose.merge(found);
            }
        }
        Ok(())
    }
}

impl Whose {
    fn learn(&mut self, object: &Value) {
        if let Some(other) = read::whose(object) {
            self.merge(other);
        }
    }

    /// Takes from `other` what is not known yet.
    fn merge(&mut self, other: Self) {
        self.customer = self.customer.take().or(other.customer);
        let owner = &mut self.owner;
        owner.metadata = owner.metadata.take().or(other.owner.metadata);
        owner.reference = owner.reference.take().or(other.owner.reference);
    }
}
