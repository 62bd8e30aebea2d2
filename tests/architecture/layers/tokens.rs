//! The tokens of a Rust source, with their lines.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token with its line.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word(String),
    Mark(char),
    /// The text of a string literal.
    Text(String),
}

/// The tokens of `source`, in order, delimiters included.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
        for tree in stream {
            let line = tree.span().start().line;
            match tree {
                TokenTree::Ident(word) => out.push(Token { line, kind: Kind::Word(word.to_string()) }),
                TokenTree::Punct(mark) => out.push(Token { line, kind: Kind::Mark(mark.as_char()) }),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
                    let text = text.map_or("", |(inner, _)| inner).to_owned(); // numbers do not matter
                    out.push(Token { line, kind: Kind::Text(text) });
                }
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Brace => ('{', '}'),
                        Delimiter::Bracket => ('[', ']'),
                        Delimiter::Parenthesis | Delimiter::None => ('(', ')'),
                    };
                    out.push(Token { line, kind: Kind::Mark(open) });
                    flatten(group.stream(), out);
                    out.push(Token { line: group.span_close().start().line, kind: Kind::Mark(close) });
                }
            }
        }
    }
    let mut out = Vec::new();
    flatten(source.parse().expect("the source is Rust"), &mut out);
    out
}
