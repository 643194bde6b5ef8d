//! The prices of the plans.

use super::account::unseen;
use super::patience::{CALL, Patience};
use super::report::Check;
use crate::config::Billing;
use crate::entitlement::Mode;
use crate::stripe::{Client, Price};
use crate::together::together;

/// One price of a plan.
struct Sold<'a> {
    plan: &'a str,
    mode: Mode,
    price: &'a str,
    /// The first one is what a checkout takes; the others are what earlier buyers pay.
    first: bool,
}

/// Looks at each price.
pub(super) async fn check(client: &Client, billing: &Billing, patience: Patience) -> Vec<Check> {
    let plans = billing.terms.catalog.plans().iter();
    let sales = plans.filter_map(|plan| Some((plan.name.as_str(), plan.sale.as_ref()?)));
    let sold = sales.flat_map(|(plan, sale)| {
        let each = sale.prices.iter().enumerate();
        each.map(move |(place, price)| Sold {
            plan,
            mode: sale.mode,
            price,
            first: place == 0,
        })
    });
    let look = async |sold: Sold<'_>| match patience.wait(CALL, client.price(sold.price)).await {
        Some(Ok(found)) => judge(&sold, found.as_ref(), billing.endpoints.live),
        other => {
            let error = other.and_then(Result::err);
            unseen(&sold.line(), sold.price, error.as_ref(), "Prices")
        }
    };
    together(sold.map(look)).await
}

impl Sold<'_> {
    fn line(&self) -> String {
        format!("price {}", self.plan)
    }
}

fn judge(sold: &Sold<'_>, found: Option<&Price>, live: bool) -> Check {
    let (name, plan, price) = (sold.line(), sold.plan, sold.price);
    let Some(found) = found else {
        let mode = if live { "live" } else { "test" };
        return Check::fail(
            &name,
            format!("{price} does not exist in {mode} mode"),
            format!("Write the id of a price of this account and mode for the plan {plan}."),
        );
    };
    let wanted = sold.mode == Mode::Subscription;
    if found.recurring.is_some_and(|is| is != wanted) {
        return of_the_other_kind(sold);
    }
    if found.live.is_some_and(|of| of != live) {
        let found = format!("{price} is of the other mode than the key");
        let mend = format!("Write a price of the key's mode for the plan {plan}.");
        return Check::fail(&name, found, mend);
    }
    match (found.active, sold.first) {
        (true, _) => Check::pass(&name, format!("{price}, {}", kind(wanted))),
        (false, true) => Check::fail(
            &name,
            format!("{price} is archived, so nobody can buy it"),
            format!(
                "Make it active again in Stripe, or write an active price first for the plan {plan}."
            ),
        ),
        (false, false) => Check::warn(
            &name,
            format!("{price} is archived; who bought it keeps the plan"),
            "Leave it as long as somebody pays it.",
        ),
    }
}

/// Recurring where it is to be paid once, or the other way round.
fn of_the_other_kind(sold: &Sold<'_>) -> Check {
    let (mode, wanted) = match sold.mode {
        Mode::Subscription => ("subscription", true),
        Mode::Payment => ("payment", false),
    };
    let (plan, price) = (sold.plan, sold.price);
    Check::fail(
        &sold.line(),
        format!(
            "{price} is {}, and the plan's mode is {mode}",
            kind(!wanted)
        ),
        format!(
            "Write a {} price for the plan {plan}, or correct its mode.",
            kind(wanted)
        ),
    )
}

fn kind(recurring: bool) -> &'static str {
    if recurring { "recurring" } else { "one-time" }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    fn price(active: bool, recurring: Option<bool>, live: Option<bool>) -> Price {
        Price {
            id: "price_1".into(),
            active,
            recurring,
            live,
            product: None,
        }
    }

    fn status(mode: Mode, first: bool, found: Option<&Price>) -> Status {
        let sold = Sold {
            plan: "monthly",
            mode,
            price: "price_1",
            first,
        };
        judge(&sold, found, false).status
    }

    #[test]
    fn a_price_is_there_active_of_the_right_kind_and_of_the_keys_mode() {
        let test = Some(false);
        for (found, mode, first, expected) in [
            (
                Some(price(true, Some(true), test)),
                Mode::Subscription,
                true,
                Status::Pass,
            ),
            (
                Some(price(true, Some(false), test)),
                Mode::Payment,
                true,
                Status::Pass,
            ),
            (
                Some(price(true, None, None)),
                Mode::Payment,
                true,
                Status::Pass,
            ),
            (None, Mode::Payment, true, Status::Fail),
            (None, Mode::Payment, false, Status::Fail),
            (
                Some(price(true, Some(true), test)),
                Mode::Payment,
                true,
                Status::Fail,
            ),
            (
                Some(price(true, Some(false), test)),
                Mode::Subscription,
                true,
                Status::Fail,
            ),
            (
                Some(price(true, Some(false), Some(true))),
                Mode::Payment,
                true,
                Status::Fail,
            ),
            (
                Some(price(false, Some(false), test)),
                Mode::Payment,
                true,
                Status::Fail,
            ),
            (
                Some(price(false, Some(false), test)),
                Mode::Payment,
                false,
                Status::Warn,
            ),
        ] {
            assert_eq!(
                status(mode, first, found.as_ref()),
                expected,
                "{found:?} {first}"
            );
        }
    }
}
