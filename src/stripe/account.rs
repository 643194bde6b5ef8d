//! What an account is set up with, and what a key may do: for those who set Tollgate up or look after it.

/// The account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `acct_…`.
    pub id: String,
    /// Its name, as the dashboard shows it.
    pub name: Option<String>,
    /// Whether it may take money in live mode; `None` where it does not say.
    pub charges_enabled: Option<bool>,
}

/// A price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// `price_…`.
    pub id: String,
    /// Whether it may be bought; so it is unless it says otherwise.
    pub active: bool,
    /// Whether it is paid again and again; `None` where it does not say.
    pub recurring: Option<bool>,
    /// `livemode`; `None` where it does not say.
    pub live: Option<bool>,
    /// `prod_…`.
    pub product: Option<String>,
}

/// Where the account sends events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// `we_…`.
    pub id: String,
    /// Where to.
    pub url: String,
    /// Which types; `*` is nearly all of them.
    pub events: Vec<String>,
    /// In which version of the API; `None` for the account's own.
    pub api_version: Option<String>,
    /// Whether it is sent anything; so it is unless it says otherwise.
    pub enabled: bool,
    /// `livemode`; `None` where it does not say.
    pub live: Option<bool>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it, the newest first.
    pub items: Vec<T>,
    /// What to ask for the next one after; `None` on the last page.
    pub next: Option<String>,
}

/// A right that a restricted key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// To make customers.
    CustomersWrite,
    /// To begin checkouts.
    CheckoutSessionsWrite,
    /// To open the customer portal.
    PortalWrite,
    /// To read and to end subscriptions.
    SubscriptionsWrite,
    /// To read prices.
    PricesRead,
    /// To read products.
    ProductsRead,
    /// To read payments.
    PaymentIntentsRead,
    /// To read charges.
    ChargesRead,
    /// To read refunds.
    RefundsRead,
    /// To read disputes.
    DisputesRead,
    /// To read invoices.
    InvoicesRead,
    /// To read events.
    EventsRead,
    /// To read where events are sent.
    WebhookEndpointsRead,
    /// To say where events are sent: for set-up alone.
    WebhookEndpointsWrite,
}

impl Right {
    /// What a running Tollgate needs.
    pub const NEEDED: [Self; 12] = [
        Self::CustomersWrite,
        Self::CheckoutSessionsWrite,
        Self::PortalWrite,
        Self::SubscriptionsWrite,
        Self::PricesRead,
        Self::ProductsRead,
        Self::PaymentIntentsRead,
        Self::ChargesRead,
        Self::RefundsRead,
        Self::DisputesRead,
        Self::InvoicesRead,
        Self::EventsRead,
    ];

    /// Its name in the dashboard, where keys are made.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CustomersWrite => "Customers: Write",
            Self::CheckoutSessionsWrite => "Checkout Sessions: Write",
            Self::PortalWrite => "Customer portal: Write",
            Self::SubscriptionsWrite => "Subscriptions: Write",
            Self::PricesRead => "Prices: Read",
            Self::ProductsRead => "Products: Read",
            Self::PaymentIntentsRead => "PaymentIntents: Read",
            Self::ChargesRead => "Charges: Read",
            Self::RefundsRead => "Refunds: Read",
            Self::DisputesRead => "Disputes: Read",
            Self::InvoicesRead => "Invoices: Read",
            Self::EventsRead => "Events: Read",
            Self::WebhookEndpointsRead => "Webhook Endpoints: Read",
            Self::WebhookEndpointsWrite => "Webhook Endpoints: Write",
        }
    }
}
