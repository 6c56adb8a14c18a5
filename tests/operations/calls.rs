//! Calls by name: any service, judged by moto where the simulated AWS has none of it.

use runner::event::Event;
use serde_json::json;

use crate::{
    account::{Account, Ran},
    moto::{Moto, moto},
};

fn script(body: &str) -> String {
    format!("environment(\"prod\");\nstack(\"shop\");\n{body}")
}

fn ran(account: &Account, body: &str) -> Ran {
    account.script(&script(body), json!({}))
}

fn refused(body: &str) -> String {
    ran(&Account::prompt(), body).failure.unwrap_or_else(|| panic!("{body} is done"))
}

const TABLE: &str = r#"
let made = aws_call("dynamodb", "CreateTable", #{
    input: #{
        TableName: "carts", BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [#{ AttributeName: "id", AttributeType: "S" }],
        KeySchema: [#{ AttributeName: "id", KeyType: "HASH" }],
    },
    undo: #{ action: "DeleteTable", from_reply: #{ TableName: "/TableDescription/TableName" } },
    assume: #{ TableDescription: #{ TableName: "carts", TableStatus: "CREATING" } },
});
output("assumed", made.assumed);
output("name", made.reply.TableDescription.TableName);
"#;

/// JSON 1.0, a query with lists, and methods with paths: made, read, and taken back.
#[test]
fn services_of_every_protocol_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let body = format!(
        r#"{TABLE}
        let read = aws_call("dynamodb", "DescribeTable", #{{ input: #{{ TableName: "carts" }} }});
        output("status", read.reply.Table.TableStatus);
        let topic = aws_call("sns", "CreateTopic", #{{
            input: #{{ Name: "deploys", Tags: [#{{ Key: "team", Value: "a&b" }}] }}, idempotent: true,
            undo: #{{ action: "DeleteTopic", from_reply: #{{ TopicArn: "/TopicArn" }} }},
        }});
        let tags = aws_call("sns", "ListTagsForResource", #{{ input: #{{ ResourceArn: topic.reply.TopicArn }} }});
        output("tags", tags.reply.Tags);
        let files = aws_call("efs", "CreateFileSystem", #{{
            method: "POST", path: "/2015-02-01/file-systems", input: #{{ CreationToken: "carts" }},
            undo: #{{
                action: "DeleteFileSystem", from_reply: #{{ FileSystemId: "/FileSystemId" }},
            }},
        }});
        let found = aws_call("efs", "DescribeFileSystems", #{{
            input: #{{ FileSystemId: files.reply.FileSystemId }},
        }});
        output("files", found.reply.FileSystems[0].CreationToken);
        "#
    );
    let done = ran(&account, &body);
    assert_eq!(done.failure, None);
    let wanted = json!([{ "Key": "team", "Value": "a&b" }]);
    assert_eq!(
        (&done.outputs["assumed"], &done.outputs["status"]),
        (&json!(false), &json!("ACTIVE")),
        "{:?}",
        done.failure
    );
    assert_eq!((&done.outputs["tags"], &done.outputs["files"]), (&wanted, &json!("carts")));
    let tables = "client('dynamodb').list_tables()['TableNames']";
    assert_eq!(moto().boto3(&name, tables), json!(["carts"]));

    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let back = ran(&account, &format!("{body}\nfail(\"enough\");"));
    assert!(back.rollback.is_some_and(|report| report.is_clean() && report.done == 3));
    assert_eq!(moto().boto3(&name, tables), json!([]));
    assert_eq!(moto().boto3(&name, "client('efs').describe_file_systems()['FileSystems']"), json!([]));
}

/// Reads go out to the account, changes do not, and what was assumed is said to be.
#[test]
fn a_dry_run_reads_and_assumes() {
    let moto = Moto::own();
    let name = moto.new_account();
    let account = Account::moto(moto.url(), name.clone());
    moto.boto3(&name, "client('sqs').create_queue(QueueName='carts')['QueueUrl']");
    let before = moto.dump(&name);
    let plan = account.plan_script(&script(&format!(
        r#"{TABLE}
        let queues = aws_call("sqs", "ListQueues");
        output("queues", queues.reply.QueueUrls.len());
        let roles = aws_call("iam", "ListRoles");
        output("read", queues.assumed);
        "#
    )));
    assert_eq!(plan.failure, None);
    assert_eq!((&plan.outputs["assumed"], &plan.outputs["name"]), (&json!(true), &json!("carts")));
    assert_eq!((&plan.outputs["queues"], &plan.outputs["read"]), (&json!(1), &json!(false)));
    assert_eq!(plan.mutations(), ["dynamodb:CreateTable"]);
    crate::contract::assert_same(&moto.dump(&name), &before, "a plan changes nothing");
}

#[test]
fn the_simulated_aws_answers_what_it_models() {
    let account = Account::prompt();
    let before = account.observe();
    let body = format!(
        r#"{TABLE}
        let role = aws_call("iam", "CreateRole", #{{
            input: #{{ RoleName: "by-hand", AssumeRolePolicyDocument: "{{\"Version\":\"2012-10-17\",\"Statement\":[]}}" }},
            undo: #{{ action: "DeleteRole", input: #{{ RoleName: "by-hand" }} }},
        }});
        output("role", role.reply.Role.RoleName);
        output("role_assumed", role.assumed);
        fail("enough");
        "#
    );
    let done = ran(&account, &body);
    assert_eq!(
        (&done.outputs["assumed"], &done.outputs["role_assumed"]),
        (&json!(true), &json!(false)),
        "{:?}",
        done.failure
    );
    assert_eq!(done.outputs["role"], json!("by-hand"));
    assert!(done.rollback.is_some_and(|report| report.is_clean() && report.done == 2));
    crate::contract::assert_same(&account.observe(), &before, "undone");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_sent() {
    for (body, words) in [
        (r#"aws_call("dynamo", "ListTables")"#, "expected a service as boto3 names it"),
        (
            r#"aws_call("dynamodb", "list_tables")"#,
            "expected an action as AWS names it (`DescribeTable`), found `list_tables`",
        ),
        (r#"aws_call("dynamodb", "DeleteTable", #{ input: #{ TableName: "a" } })"#, "say which call takes it back"),
        (r#"aws_call("dynamodb", "ListTables", #{ irreversible: true })"#, "only reads"),
        (
            r#"aws_call("dynamodb", "DeleteTable", #{ irreversible: true, undo: #{ action: "CreateTable" } })"#,
            "found both",
        ),
        (
            r#"aws_call("dynamodb", "CreateTable", #{ undo: #{ action: "ListTables" } })"#,
            "dynamodb:ListTables only reads",
        ),
        (
            r#"aws_call("lambda", "ListFunction")"#,
            "expected an action of `lambda` as AWS names it, found `ListFunction`",
        ),
        (
            r#"aws_call("lambda", "GetFunction", #{ path: "/2015-03-31/functions" })"#,
            "lambda:GetFunction is at `/2015-03-31/functions/{FunctionName}`, found `/2015-03-31/functions`",
        ),
        (r#"aws_call("lambda", "GetFunction")"#, "expected `FunctionName`, which is in the path of lambda:GetFunction"),
        (
            r#"aws_call("lambda", "GetFunction", #{ input: #{ FunctionName: "web", Name: "web" } })"#,
            "lambda:GetFunction has no parameter `Name`",
        ),
        // What is not allowed by its name is not allowed by its path, either.
        (
            r#"aws_call("lambda", "TagResource", #{ path: "/2015-03-31/functions/web", irreversible: true })"#,
            "lambda:TagResource is at `/2017-03-31/tags/{Resource}`",
        ),
        (
            r#"aws_call("lambda", "GetFunction", #{ method: "DELETE", path: "/2015-03-31/functions/web" })"#,
            "lambda:GetFunction is asked by GET, found DELETE",
        ),
        // The name is what policy sees: nothing may follow that makes it another path.
        (
            r#"aws_call("eks", "DeleteNodegroup", #{ path: "/clusters/prod#/node-groups/x", irreversible: true })"#,
            "eks:DeleteNodegroup is at `/clusters/{name}/node-groups/{nodegroupName}`",
        ),
        (
            r#"aws_call("apigateway", "CreateApiKey", #{ path: "/apikeys?mode=import", irreversible: true })"#,
            "`/apikeys?mode=import` is apigateway:ImportApiKeys",
        ),
        (
            r#"aws_call("lambda", "DeleteFunction", #{ input: #{ FunctionName: "web", Qualifer: "3" }, irreversible: true })"#,
            "lambda:DeleteFunction has no parameter `Qualifer`",
        ),
        (
            r#"aws_call("lambda", "Invoke", #{ input: #{ FunctionName: "web", Payload: "{}" }, irreversible: true })"#,
            "`Payload` of lambda:Invoke is a header or a whole body",
        ),
        (
            r#"aws_call("lambda", "CreateFunction", #{ input: #{ FunctionName: "web" }, undo: #{
                action: "DeleteFunction", path: "/2015-03-31/functions/{FunctionNam}", from_reply: #{ FunctionName: "/FunctionName" },
            } })"#,
            "found `/2015-03-31/functions/{FunctionNam}`",
        ),
        (r#"aws_call("dynamodb", "ListTables", #{ path: "/" })"#, "is asked by the action's name alone"),
        (r#"aws_call("s3", "ListBuckets")"#, "speaks XML over paths"),
        (r#"aws_call("sts", "GetSessionToken")"#, "returns secrets"),
        (r#"aws_call("ssm", "GetParameters", #{ input: #{ Names: ["a"], WithDecryption: true } })"#, "returns secrets"),
        (r#"aws_call("dynamodb", "ListTables")"#, "the simulator does not model the service `dynamodb`"),
    ] {
        let failure = refused(body);
        assert!(failure.contains(words), "{body}: {failure}");
    }
}

/// What a runbook says takes a call back is a call like any other.
#[test]
fn an_undo_is_judged_before_the_call() {
    let account = Account::prompt();
    let body = r#"aws_call("iam", "CreateRole", #{
        input: #{ RoleName: "a", AssumeRolePolicyDocument: "{}" }, undo: #{ action: "DeleteUser", input: #{ UserName: "b" } },
    });"#;
    // What is protected stands in its path.
    let in_path = r#"aws_call("eks", "CreateNodegroup", #{
        input: #{ name: "test", nodegroupName: "web", subnets: [], nodeRole: "r" }, assume: #{},
        undo: #{ action: "DeleteCluster", input: #{ name: "prod" } },
    });"#;
    for (policy, body, words) in [
        ("denied_actions = [\"iam:DeleteUser\"]", body, "iam:DeleteUser"),
        ("protected_names = [\"prod\"]", in_path, "eks:DeleteCluster would change prod, which `prod` protects"),
    ] {
        let refused = account.script_under(policy, &script(body), json!({}));
        let failure = refused.failure.expect("it is refused");
        assert!(failure.contains("refused by policy") && failure.contains(words), "{failure}");
        assert_eq!(refused.rollback.map(|report| report.done), Some(0));
    }
}

/// Nobody knows whether it was carried out: it is not sent again, and the rollback takes it back.
#[test]
fn what_is_not_idempotent_is_not_sent_again() {
    let account = Account::prompt();
    let before = account.observe();
    account.simulator().ask_for(["iam:CreateRole#1=timeout-applied".parse().expect("a fault")]);
    let role = |more: &str| {
        format!(
            r#"aws_call("iam", "CreateRole", #{{
                input: #{{ RoleName: "a", AssumeRolePolicyDocument: "{{\"Version\":\"2012-10-17\",\"Statement\":[]}}" }},
                undo: #{{ action: "DeleteRole", input: #{{ RoleName: "a" }} }}, {more}
            }});"#
        )
    };
    let done = ran(&account, &role(""));
    assert_eq!(sent(&done), 1);
    assert!(done.failure.is_some_and(|failure| failure.contains("iam:CreateRole for a failed: no reply in time")));
    crate::contract::assert_same(&account.observe(), &before, "undone");
}

/// How often the role was to be made.
fn sent(done: &Ran) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Call { call, .. } if call == "iam:CreateRole");
    done.forward().filter(is_it).count()
}
