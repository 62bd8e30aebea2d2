#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::outbound::tests::answering;

/// A node that takes one call and answers it so.
fn node(answer: &str) -> (RpcClient, JoinHandle<String>) {
    node_with_status(200, answer)
}

fn node_with_status(status: u16, answer: &str) -> (RpcClient, JoinHandle<String>) {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", answer.len());
    let (endpoint, server) = answering([head.as_bytes(), answer.as_bytes()].concat());
    (RpcClient::new(endpoint, Outbound::new(Duration::from_secs(2)).unwrap()), server)
}

fn asked(server: JoinHandle<String>) -> serde_json::Value {
    let request = server.join().unwrap();
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn the_chain_id_is_read_and_nonsense_is_not_taken_for_one() {
    let (chain, server) = node(r#"{"jsonrpc":"2.0","id":1,"result":"0x4268"}"#);
    assert_eq!(chain.id().await.unwrap(), 17_000);
    assert_eq!(asked(server), json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}));
    let long = r#"{"result":"0x10000000000000000"}"#;
    for answer in ["", "[]", "{}", r#"{"result":"17000"}"#, r#"{"result":"0x"}"#, long, r#"{"result":7}"#] {
        let (chain, _server) = node(answer);
        assert!(matches!(chain.id().await, Err(RpcClientError::Malformed(_, 200))), "{answer}");
    }
}

#[tokio::test]
async fn a_result_in_an_error_response_is_not_believed() {
    for status in [300, 404, 500, 503] {
        let (chain, _server) = node_with_status(status, r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#);
        let malformed = |it: &RpcClientError| matches!(it, RpcClientError::Malformed(_, of) if *of == status);
        assert!(chain.id().await.is_err_and(|error| malformed(&error)), "{status}");
    }
}

#[tokio::test]
async fn a_call_gives_the_contracts_bytes_and_a_revert_keeps_the_message_of_the_node() {
    let contract = "0x00000000219ab540356cBB839Cbe05303d7705Fa".parse().unwrap();
    let data = [0xde, 0xad, 0xbe, 0xef];
    let (chain, server) = node(r#"{"result":"0x0102"}"#);
    assert_eq!(chain.call(contract, &data).await.unwrap(), [1, 2]);
    let expected = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [
        {"to": "0x00000000219ab540356cBB839Cbe05303d7705Fa", "data": "0xdeadbeef"}, "latest"]});
    assert_eq!(asked(server), expected);
    let (chain, _server) = node(r#"{"result":"0x"}"#);
    assert!(chain.call(contract, &data).await.unwrap().is_empty());
    let (chain, _server) = node(r#"{"error":{"code":3,"message":"execution\nreverted"}}"#);
    let error = chain.call(contract, &data).await.unwrap_err();
    assert_eq!(error.to_string(), "the node refused the call: executionreverted (code 3)");
}
