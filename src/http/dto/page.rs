//! Pages of lists: bounded by a number of items and by bytes, with a cursor to what follows.
//!
//! Every list that a client can make longer is answered in pages, so that a client that reads slowly holds little.

use serde::Serialize;
use serde_json::value::RawValue;

use super::text::request_number;
use crate::service::ServiceError;

/// The most items of one page.
const MAX_ITEMS: u64 = 1_000;

/// Items of a page if the client names no number.
const DEFAULT_ITEMS: u64 = 100;

/// The bytes of items after which a page ends.
pub(crate) const MAX_PAGE_BYTES: usize = 128 * 1024;

request_number! {
    /// The most items of a page. A page may have fewer: it ends after 128 KiB.
    PageLimit(u64) = 1, MAX_ITEMS;
}

impl PageLimit {
    /// The number of items.
    pub(crate) fn items(limit: Option<Self>) -> usize {
        let Self(items) = limit.unwrap_or(Self(DEFAULT_ITEMS));
        usize::try_from(items).unwrap_or(usize::MAX)
    }
}

/// Serialised items, and the last of them if more follow.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<Box<RawValue>>,
    pub(crate) last: Option<T>,
    /// Whether items are left for the next page.
    pub(crate) more: bool,
}

impl<T> Page<T> {
    /// Takes items until the page is full; the first one always fits.
    pub(crate) fn of<R: Serialize>(
        items: impl IntoIterator<Item = T>,
        limit: usize,
        record: impl Fn(&T) -> R,
    ) -> Result<Self, ServiceError> {
        let mut page = Self { items: Vec::new(), last: None, more: false };
        let mut bytes = 0;
        for item in items {
            if page.items.len() >= limit || bytes >= MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            let text = serde_json::value::to_raw_value(&record(&item)).map_err(ServiceError::internal)?;
            bytes += text.get().len();
            page.items.push(text);
            page.last = Some(item);
        }
        Ok(page)
    }

    /// The cursor to the next page; none where this is the last.
    pub(crate) fn next<C>(&self, cursor: impl Fn(&T) -> C) -> Option<C> {
        self.last.as_ref().filter(|_| self.more).map(cursor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_page_ends_at_its_limit_or_its_bytes_and_says_what_follows() {
        let page = |items: usize, limit, bytes: usize| {
            let page = Page::of(0..items, limit, |_| "x".repeat(bytes)).unwrap();
            (page.items.len(), page.next(|item| *item))
        };
        assert_eq!(page(0, 10, 1), (0, None));
        assert_eq!(page(10, 10, 1), (10, None));
        assert_eq!(page(11, 10, 1), (10, Some(9)));
        assert_eq!(page(1, 10, 2 * MAX_PAGE_BYTES), (1, None));
        assert_eq!(page(2, 10, 2 * MAX_PAGE_BYTES), (1, Some(0)));
        assert_eq!(page(1_000, 1_000, 1_022), (128, Some(127)));
    }
}
