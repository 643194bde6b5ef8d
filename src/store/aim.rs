//! Which jobs an event asks for, the same in every database.

use super::JobKey;

/// The jobs for what concerns `user`, `customer`, `object`, where it is known who is `linked` with the customer: of
/// every user that is known; without one, the search for whose the customer is; without one, the search for whose the
/// object is.
pub(super) fn aims(
    user: Option<&str>,
    linked: &[String],
    customer: Option<&str>,
    object: Option<&(String, String)>,
) -> Vec<JobKey> {
    let others = linked.iter().map(String::as_str);
    let others = others.filter(|linked| Some(*linked) != user);
    let users = user.into_iter().chain(others);
    let users: Vec<JobKey> = users.map(|user| JobKey::User(user.to_owned())).collect();
    if !users.is_empty() {
        return users;
    }
    let search = customer.map(|customer| JobKey::Customer(customer.to_owned()));
    let by_object = || object.map(|(kind, id)| JobKey::Object(kind.clone(), id.clone()));
    search.or_else(by_object).into_iter().collect()
}

/// The user whose an event is called: the one it names, or the one that was known first.
pub(super) fn first_user(keys: &[JobKey]) -> Option<&str> {
    keys.iter().find_map(|key| match key {
        JobKey::User(user) => Some(user.as_str()),
        JobKey::Customer(_) | JobKey::Object(..) => None,
    })
}
