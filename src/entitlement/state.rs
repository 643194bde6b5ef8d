//! What Stripe says about one user, reduced to what counts for access.

use crate::clock::UnixSeconds;

/// Everything one user has bought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Subscriptions, in whichever status.
    pub subscriptions: Vec<Subscription>,
    /// One-time purchases, paid or not.
    pub purchases: Vec<Purchase>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// `sub_…`.
    pub id: String,
    /// Its status.
    pub status: SubscriptionStatus,
    /// The prices of all its items.
    pub prices: Vec<String>,
    /// When the current period began; a renewal that fails begins one.
    pub period_start: Option<UnixSeconds>,
    /// When the current period ends.
    pub period_end: Option<UnixSeconds>,
    /// Whether it is set to end (`cancel_at_period_end`, or `cancel_at`).
    pub ends: bool,
}

/// `status` of a subscription (Stripe's API, "The Subscription object").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// The first payment was not made yet.
    Incomplete,
    /// The first payment was never made.
    IncompleteExpired,
    /// In a trial.
    Trialing,
    /// In good standing.
    Active,
    /// A renewal failed, and is tried again.
    PastDue,
    /// Ended.
    Canceled,
    /// A renewal failed for good.
    Unpaid,
    /// A trial ended without a way to pay, or somebody paused it.
    Paused,
    /// A word that did not exist when this was written.
    Unknown(String),
}

/// A one-time purchase: a Checkout Session of mode `payment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// `cs_…`.
    pub id: String,
    /// The prices bought.
    pub prices: Vec<String>,
    /// What became of the money.
    pub payment: Payment,
}

/// What became of the money of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// It has not come yet, or never will.
    Unpaid,
    /// There was nothing to pay.
    NotRequired,
    /// It came.
    Paid {
        /// All of it was given back.
        refunded: bool,
        /// What the bank says, one for each dispute.
        disputes: Vec<DisputeStatus>,
    },
    /// A word that did not exist when this was written.
    Unknown(String),
}

/// `status` of a dispute (Stripe's API, "The Dispute object").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisputeStatus {
    /// An inquiry that waits for an answer.
    WarningNeedsResponse,
    /// An inquiry that is looked at.
    WarningUnderReview,
    /// An inquiry that came to nothing.
    WarningClosed,
    /// A dispute that waits for an answer.
    NeedsResponse,
    /// A dispute that is looked at.
    UnderReview,
    /// Won: the money stays.
    Won,
    /// Lost: the money is gone.
    Lost,
    /// Averted before it began.
    Prevented,
    /// A word that did not exist when this was written.
    Unknown(String),
}

impl From<&str> for SubscriptionStatus {
    fn from(word: &str) -> Self {
        match word {
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "canceled" => Self::Canceled,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl SubscriptionStatus {
    /// Stripe's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Canceled => "canceled",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Unknown(word) => word,
        }
    }

    /// Whether it is over for good.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match self {
            Self::Canceled | Self::IncompleteExpired => true,
            Self::Incomplete
            | Self::Trialing
            | Self::Active
            | Self::PastDue
            | Self::Unpaid
            | Self::Paused
            | Self::Unknown(_) => false,
        }
    }
}

impl From<&str> for DisputeStatus {
    fn from(word: &str) -> Self {
        match word {
            "warning_needs_response" => Self::WarningNeedsResponse,
            "warning_under_review" => Self::WarningUnderReview,
            "warning_closed" => Self::WarningClosed,
            "needs_response" => Self::NeedsResponse,
            "under_review" => Self::UnderReview,
            "won" => Self::Won,
            "lost" => Self::Lost,
            "prevented" => Self::Prevented,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl DisputeStatus {
    /// Whether it holds the money back. An inquiry (every `warning_` word) does not; another word that is not known
    /// does.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        match self {
            Self::NeedsResponse | Self::UnderReview | Self::Lost => true,
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::WarningClosed
            | Self::Won
            | Self::Prevented => false,
            Self::Unknown(word) => !word.starts_with("warning_"),
        }
    }

    /// The word, where it is not known.
    pub(super) fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(word) => Some(word),
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::WarningClosed
            | Self::NeedsResponse
            | Self::UnderReview
            | Self::Won
            | Self::Lost
            | Self::Prevented => None,
        }
    }
}

impl Payment {
    /// Whether the money is there and stays, or none was asked for.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match self {
            Self::NotRequired => true,
            Self::Paid { refunded, disputes } => {
                !refunded && !disputes.iter().any(DisputeStatus::takes_back)
            }
            Self::Unpaid | Self::Unknown(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [&str; 8] = [
        "incomplete",
        "incomplete_expired",
        "trialing",
        "active",
        "past_due",
        "canceled",
        "unpaid",
        "paused",
    ];

    #[test]
    fn a_status_is_read_as_stripe_writes_it_and_a_new_one_is_kept_word_for_word() {
        for word in STATUSES {
            let status = SubscriptionStatus::from(word);
            assert!(!matches!(status, SubscriptionStatus::Unknown(_)), "{word}");
            assert_eq!(status.as_str(), word);
        }
        for word in ["hibernating", "", "Active", "cancelled"] {
            let status = SubscriptionStatus::from(word);
            assert_eq!(status, SubscriptionStatus::Unknown(word.to_owned()));
            assert_eq!(status.as_str(), word);
        }
    }

    #[test]
    fn a_subscription_is_over_for_good_when_it_was_canceled_or_never_began() {
        let ended = STATUSES.map(SubscriptionStatus::from);
        let ended: Vec<_> = ended.iter().filter(|status| status.is_ended()).collect();
        let expected = [
            SubscriptionStatus::IncompleteExpired,
            SubscriptionStatus::Canceled,
        ];
        assert_eq!(ended, expected.iter().collect::<Vec<_>>());
        assert!(!SubscriptionStatus::from("hibernating").is_ended());
    }

    #[test]
    fn a_dispute_takes_the_money_back_until_it_is_won_and_an_inquiry_does_not() {
        let cases = [
            ("needs_response", true),
            ("under_review", true),
            ("lost", true),
            ("won", false),
            ("prevented", false),
            ("warning_needs_response", false),
            ("warning_under_review", false),
            ("warning_closed", false),
            ("warning_of_a_new_kind", false),
            ("escalated", true),
            ("", true),
        ];
        for (word, expected) in cases {
            let status = DisputeStatus::from(word);
            assert_eq!(status.takes_back(), expected, "{word}");
            let is_new = ["warning_of_a_new_kind", "escalated", ""].contains(&word);
            assert_eq!(status.unknown(), is_new.then_some(word));
        }
    }

    #[test]
    fn money_is_kept_when_none_was_due_or_it_came_and_stays() {
        let paid = |refunded, disputes: &[&str]| Payment::Paid {
            refunded,
            disputes: disputes.iter().map(|word| (*word).into()).collect(),
        };
        let cases = [
            (Payment::NotRequired, true),
            (Payment::Unpaid, false),
            (Payment::Unknown("promised".to_owned()), false),
            (paid(false, &[]), true),
            (paid(true, &[]), false),
            (paid(true, &["won"]), false),
            (paid(false, &["won", "warning_closed"]), true),
            (paid(false, &["won", "lost"]), false),
            (paid(false, &["under_review", "won"]), false),
        ];
        for (payment, expected) in cases {
            assert_eq!(payment.is_kept(), expected, "{payment:?}");
        }
    }
}
