//! Whose the key is.

use super::call::Call;
use super::{Client, read_as};
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::json;

const ACCOUNT: &str = "/v1/account";

impl Client {
    /// The id of the account that the key is of.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn account_id(&self) -> Result<String, Error> {
        let call = Call::get(ACCOUNT, Params::none());
        let found = self.sender.send(&call).await?;
        read_as(ACCOUNT, json::id_of(&found))
    }
}
