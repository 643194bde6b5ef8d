//! Which of Stripe's webhook endpoints counts as ours, and what it lacks: one judgement, for whoever looks and whoever
//! mends.

use super::{Webhook, same_url};
use crate::stripe::WebhookEndpoint;

impl Webhook {
    /// The endpoints that lead here, as Stripe lists them.
    pub(in crate::cli) fn leading_here<'a>(
        &self,
        endpoints: &'a [WebhookEndpoint],
    ) -> Vec<&'a WebhookEndpoint> {
        let here = endpoints
            .iter()
            .filter(|endpoint| same_url(&endpoint.url, &self.url));
        here.collect()
    }

    /// The endpoint that counts: of those that lead here and are switched on the one that lacks the fewest of the events
    /// that have to be sent, then of all; and one that is switched off only where none is on, since what arrives now comes
    /// from those that are on.
    pub(in crate::cli) fn best<'a>(
        &self,
        endpoints: &'a [WebhookEndpoint],
    ) -> Option<&'a WebhookEndpoint> {
        let here = self.leading_here(endpoints).into_iter();
        here.min_by_key(|endpoint| {
            let missing = self.missing(endpoint);
            let needed = missing.iter().filter(|event| self.needs(event)).count();
            (!endpoint.enabled, needed, missing.len())
        })
    }

    /// The events that are not sent to the endpoint.
    pub(in crate::cli) fn missing(&self, endpoint: &WebhookEndpoint) -> Vec<&'static str> {
        let all = self.events.iter().copied();
        all.filter(|event| !sends(endpoint, event)).collect()
    }

    /// Whether the event has to be sent.
    pub(in crate::cli) fn needs(&self, event: &str) -> bool {
        self.needed.contains(&event)
    }
}

/// Whether the endpoint is sent this event.
fn sends(endpoint: &WebhookEndpoint, event: &str) -> bool {
    let mut events = endpoint.events.iter();
    events.any(|sent| sent == "*" || sent == event)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example.test/stripe/webhook";

    fn endpoint(id: &str, url: &str, events: &[&str], enabled: bool) -> WebhookEndpoint {
        WebhookEndpoint {
            id: id.into(),
            url: url.into(),
            events: events.iter().map(ToString::to_string).collect(),
            api_version: None,
            enabled,
            live: None,
        }
    }

    fn wanted() -> Webhook {
        Webhook {
            url: URL.into(),
            is_guessed: false,
            events: &["a", "b", "c"],
            needed: &["a", "b"],
        }
    }

    #[test]
    fn one_that_is_on_counts_before_one_that_is_off_whatever_they_lack() {
        let off = endpoint("off", URL, &["*"], false);
        let most = endpoint("most", URL, &["a", "c"], true);
        let least = endpoint("least", URL, &["b"], true);
        let elsewhere = endpoint("elsewhere", "https://other.test/", &["*"], true);
        for all in [
            [&off, &least, &most, &elsewhere],
            [&elsewhere, &most, &off, &least],
        ] {
            let all: Vec<WebhookEndpoint> = all.into_iter().cloned().collect();
            assert_eq!(wanted().best(&all).unwrap().id, "most");
        }
        assert_eq!(wanted().missing(&most), ["b"]);
        assert_eq!(
            wanted()
                .leading_here(&[off.clone(), elsewhere.clone()])
                .len(),
            1
        );
        assert_eq!(wanted().best(&[elsewhere, off]).unwrap().id, "off");
        assert_eq!(wanted().best(&[]), None);
    }

    #[test]
    fn events_that_have_to_be_sent_count_before_all_others() {
        let few = endpoint("few", URL, &["a", "b"], true);
        let odd = endpoint("odd", URL, &["a", "c"], true);
        assert_eq!(wanted().best(&[odd, few]).unwrap().id, "few");
    }

    #[test]
    fn one_that_is_sent_everything_lacks_nothing() {
        let all = endpoint("all", URL, &["*"], true);
        assert!(wanted().missing(&all).is_empty());
    }
}
