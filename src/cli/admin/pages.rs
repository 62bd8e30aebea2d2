//! Pages of a list, read to the last and joined into one response.

use serde_json::Value;

use super::local_request::LocalRequest;

/// The response to a request; of a list the last page, with the items of all.
pub(super) async fn all_pages<E>(
    request: &LocalRequest,
    send: impl AsyncFn(&str) -> Result<Value, E>,
) -> Result<Value, E> {
    let Some(member) = request.list else { return send(&request.path).await };
    let (mut path, mut all) = (request.path.clone(), Vec::new());
    loop {
        let mut page = send(&path).await?;
        let items = match page.get_mut(member).map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => Vec::new(),
        };
        let is_empty = items.is_empty();
        all.extend(items);
        let next = match page.get("next") {
            // A list that grows for ever names a next page on each: it ends at an empty one.
            Some(Value::String(next)) if !is_empty => next.clone(),
            Some(Value::Number(next)) if !is_empty => next.to_string(),
            Some(_) | None => {
                if let Some(members) = page.as_object_mut() {
                    members.insert(member.to_owned(), Value::Array(all));
                }
                return Ok(page);
            }
        };
        let start = request.path.split("after=").next().unwrap_or_default().trim_end_matches(['?', '&']);
        let joint = if start.contains('?') { '&' } else { '?' };
        path = format!("{start}{joint}after={next}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::cell::RefCell;

    use serde_json::json;

    use super::*;

    async fn read(path: &str, pages: Vec<Value>) -> (Value, Vec<String>) {
        let (pages, asked) = (RefCell::new(pages.into_iter()), RefCell::new(Vec::new()));
        let request = LocalRequest::list(path.to_owned(), "keys");
        let joined = all_pages(&request, async |path: &str| {
            asked.borrow_mut().push(path.to_owned());
            pages.borrow_mut().next().ok_or(())
        });
        (joined.await.unwrap(), asked.into_inner())
    }

    #[tokio::test]
    async fn every_page_is_read_once_and_in_order() {
        let pages = vec![json!({"keys": [1, 2], "next": "a/2"}), json!({"keys": [3], "eoa": "0x"})];
        let (joined, asked) = read("/v1/keys/0x?limit=2", pages).await;
        assert_eq!(joined, json!({"keys": [1, 2, 3], "eoa": "0x"}));
        assert_eq!(asked, ["/v1/keys/0x?limit=2", "/v1/keys/0x?limit=2&after=a/2"]);
        // Events always name what follows; the list of them ends where there is none.
        let pages = vec![json!({"keys": [1], "next": 5}), json!({"keys": [], "next": 5})];
        let (joined, asked) = read("/v1/events?after=4", pages).await;
        assert_eq!(joined, json!({"keys": [1], "next": 5}));
        assert_eq!(asked, ["/v1/events?after=4", "/v1/events?after=5"]);
    }
}
