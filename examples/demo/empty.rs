//! Nothing but the stand-ins: the reader sets Tollgate up, runs it, breaks something and mends it.

use crate::console::{BEARER, HELP, stay, token_line};
use crate::page::Page;
use crate::scene::INSIGHTS;
use crate::setup::ADMIN_TOKEN;
use crate::stage::{Addresses, Stage};

/// Says what to do, and stays up.
pub(crate) async fn open(stage: &mut Stage, page: &mut Page) -> anyhow::Result<()> {
    let told = told(stage);
    page.line(&told);
    stay(stage, page).await
}

fn told(stage: &Stage) -> String {
    let neighbours = &stage.neighbours;
    let Addresses { gate, admin } = stage.addresses;
    format!(
        r#"An empty tenant, an empty Stripe account and a backend are up; Tollgate is yours to set up.

   Auth0     {auth0}    users without roles: free, ann, bob, cleo
   Stripe    {stripe}    prices, nothing else
   backend   {backend}
   config    {config}

In another terminal:

   {exports}
   tollgate doctor                 # red: nothing is there yet
   tollgate bootstrap --dry-run    # what would be made
   tollgate bootstrap --yes --write-secret {secret}
   tollgate doctor                 # green; it warns of the portal (type `portal on` here), and that nothing is served yet
   tollgate serve                  # Ctrl-C ends it

The console, for operators: http://{admin}/ (token for actions: {ADMIN_TOKEN}). In a third terminal, a purchase:

   {exports}
   {token}
   curl -i http://{gate}{INSIGHTS} {BEARER}    # refused
   PAGE=$(curl -s http://{gate}/stripe/create-checkout-session {BEARER} \
     -H 'Content-Type: application/json' -d '{{"plan_type":"monthly"}}' | sed 's/.*"checkout_url":"\([^"]*\)".*/\1/')
   echo "$PAGE"    # open it in a browser and pay, or: curl -i -X POST "$PAGE"
   curl -i http://{gate}{INSIGHTS} {BEARER}    # let in, with the same token

Then change roles by hand, here: `take free premium-monthly`, `give bob premium-lifetime`. And there:

   tollgate reconcile          # finds both
   tollgate reconcile --fix    # mends both
   tollgate events list        # what Stripe has sent

{HELP}"#,
        auth0 = neighbours.auth0.url(),
        stripe = neighbours.stripe.url(),
        backend = neighbours.backend.url(),
        config = stage.program.config().display(),
        exports = stage.program.exports(),
        secret = stage.secret_file().display(),
        token = token_line(&neighbours.auth0),
    )
}
