//! Who is behind an e-mail. Auth0 knows its users by one, and Stripe its customers, perhaps by another. It is for the eyes
//! alone: nothing that was paid for goes by an e-mail.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

use crate::admin::console::Payments;
use crate::admin::console::trouble::{Trouble, ask};
use crate::auth0;
use crate::stripe::Customer;
use crate::together::together;

/// How long Auth0, its queue included, and Stripe may each take to answer: they are asked side by side.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is known of an e-mail.
#[derive(Default)]
pub(super) struct Known {
    /// The users, each once, and how they were found.
    pub(super) users: Vec<(String, String)>,
    /// Who could not be asked, and why.
    pub(super) gaps: Vec<String>,
}

impl Known {
    fn add(&mut self, user: String, how: String) {
        if self.users.iter().all(|(known, _)| *known != user) {
            self.users.push((user, how));
        }
    }
}

/// Asks Auth0 and Stripe; what one of them says counts without the other.
pub(super) async fn search(payments: &Payments, email: &str) -> Result<Known, Trouble> {
    let auth0 = payments.auth0.within(PATIENCE);
    let (users, customers) = tokio::join!(
        in_time("Auth0", auth0.users_by_email(email)),
        in_time("Stripe", payments.stripe.customers_by_email(email)),
    );
    let mut known = Known::default();
    let users = users.unwrap_or_else(|gap| {
        known.gaps.push(gap);
        Vec::new()
    });
    for user in users {
        let how = how(&user);
        known.add(user.id, how);
    }
    let customers = customers.unwrap_or_else(|gap| {
        known.gaps.push(gap);
        Vec::new()
    });
    let owners = together(customers.iter().map(|one| owners(payments, one))).await;
    for (customer, owners) in customers.iter().zip(owners) {
        for user in owners? {
            known.add(user, format!("customer {}, by its e-mail", customer.id));
        }
    }
    Ok(known)
}

/// The answer of `who`, or a sentence that says why there is none.
async fn in_time<T, E: Display>(
    who: &str,
    question: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let sorry = |why: &str| format!("{who} could not be asked for this e-mail: {why}");
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| sorry(&error.to_string())),
        Err(_) => Err(sorry("it does not answer in time")),
    }
}

/// The user whom the customer names, or else those whom the ledger links with it.
async fn owners(payments: &Payments, customer: &Customer) -> Result<Vec<String>, Trouble> {
    if let Some(user) = &customer.user {
        return Ok(vec![user.clone()]);
    }
    let links = ask(payments.store.users_of(&customer.id)).await?;
    Ok(links.into_iter().map(|link| link.user).collect())
}

fn how(user: &auth0::User) -> String {
    let email = user.email.as_deref().unwrap_or_default();
    let verified = if user.email_verified {
        "verified"
    } else {
        "not verified"
    };
    match &user.name {
        Some(name) => format!("{name}, {email} ({verified})"),
        None => format!("{email} ({verified})"),
    }
}

/// Ids may hold an `@` too, so what looks like an e-mail is searched as both.
pub(super) fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
        && !text.contains(['|', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e_mail_is_told_from_an_id() {
        for (text, expected) in [
            ("ann@example.com", true),
            ("samlp|idp|ann@example.com", false),
            ("client@clients", false),
            ("@example.com", false),
            ("auth0|ann", false),
            ("", false),
        ] {
            assert_eq!(is_email(text), expected, "{text}");
        }
    }
}
