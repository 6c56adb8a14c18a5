//! The transport: no change leaves undeclared, and none before its intent is written down.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use runner::{
    aws::{Clients, Connections, Endpoint, Identity, Outgoing, Permit, Scope, retry},
    clock::Clock,
    sim::{Simulator, Source},
};

/// Clients on a new simulated account, and what was written ahead.
fn with_clients(
    test: impl AsyncFnOnce(&Clients, &dyn Fn(&'static str) -> Permit, &Mutex<Vec<String>>),
) -> serde_json::Value {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _context = tokio.enter();
    let simulator = Arc::new(Simulator::open(Source::Fresh, 1).expect("a fresh world"));
    let clock = Clock::virtual_from(simulator.clock(), 1);
    let connections = Connections::new(Endpoint::Sim(simulator.clone()), clock.clone(), "test");
    let scope = Scope { region: "eu-central-1".into(), role_arn: None, external_id: None };
    let identity = Identity {
        account: "123456789012".into(),
        arn: "arn:aws:iam::123456789012:role/test".into(),
        region: scope.region.clone(),
        expires: None,
    };
    let written = Arc::new(Mutex::new(Vec::new()));
    let permit = |action| {
        let written = written.clone();
        let write = move |outgoing: Outgoing| -> futures::future::BoxFuture<'static, _> {
            written.lock().expect("no panic").push(outgoing.parameters.to_string());
            Box::pin(async { Ok(()) })
        };
        Permit::new(action, "token".into(), Arc::new(write))
    };
    clock.block_on(async {
        let clients = connections.clients(&scope, &identity).await.expect("clients");
        test(&clients, &permit, &written).await;
    });
    simulator.observe()
}

fn message<E>(error: SdkError<E, HttpResponse>) -> String
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    retry::classify("ec2:CreateVpc", error, 1).to_string()
}

#[test]
fn an_undeclared_change_does_not_leave() {
    let untouched = with_clients(async |_, _, _| {});
    let world = with_clients(async |clients, _, _| {
        let error = clients.ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.expect_err("refused");
        assert!(message(error).contains("ec2:CreateVpc changes AWS and was not declared"));
    });
    assert_eq!(world, untouched);
}

#[test]
fn a_permit_is_for_one_action_and_one_request() {
    with_clients(async |clients, permit, written| {
        let create = |permit| clients.ec2.create_vpc().cidr_block("10.0.0.0/16").customize().interceptor(permit).send();
        let error = create(permit("ec2:DeleteVpc")).await.expect_err("refused");
        assert!(message(error).contains("ec2:DeleteVpc was declared, but ec2:CreateVpc is about to be sent"));

        let once = permit("ec2:CreateVpc");
        create(once.clone()).await.expect("declared");
        let error = create(once).await.expect_err("refused");
        assert!(message(error).contains("declared once and is about to be sent twice"));
        let written = written.lock().expect("no panic");
        assert_eq!(*written, [r#"{"CidrBlock":"10.0.0.0/16"}"#], "only what leaves is written down");
    });
}

#[test]
fn nothing_is_sent_when_the_intent_cannot_be_written() {
    let untouched = with_clients(async |_, _, _| {});
    let world = with_clients(async |clients, _, _| {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let full = |_: Outgoing| -> futures::future::BoxFuture<'static, _> {
            ASKED.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err("the disk is full".into()) })
        };
        let permit = Permit::new("ec2:CreateVpc", "token".into(), Arc::new(full));
        let sent = clients.ec2.create_vpc().cidr_block("10.0.0.0/16").customize().interceptor(permit).send().await;
        assert!(message(sent.expect_err("refused")).contains("the disk is full"));
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    });
    assert_eq!(world, untouched);
}
