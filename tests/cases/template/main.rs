//! template.yaml read as data: what AWS is told must hold whatever is deployed.

mod document;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use document::{default, list, name, resources, source, template};

/// The functions, by their crates' names and their resources'.
const FUNCTIONS: [(&str, &str); 5] = [
    ("config", "ConfigFunction"),
    ("profiles", "ProfilesFunction"),
    ("fanout", "FanoutFunction"),
    ("dispatch", "DispatchFunction"),
    ("deliver", "DeliverFunction"),
];

/// All that can be done to rows, but for writes of many at once: those have no conditions.
const ROWS: [&str; 7] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
];

/// All that Lambda needs to feed a function from its queue, and the function to write to that queue.
const OWN_QUEUE: [&str; 5] = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

/// What each function may do, and to what: the architecture's table, spelt out.
fn allowed(function: &str) -> BTreeSet<(String, String)> {
    let grants: Vec<(&[&str], &[&str])> = match function {
        "config" => vec![
            (&ROWS, &["ConfigTable", "LedgerTable"]),
            (&["dynamodb:BatchWriteItem"], &["LedgerTable"]),
            (&["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], &["ProfilesTable"]),
            (&["s3:PutObject"], &["Bucket/audiences/*", "Bucket/profiles/*"]),
            (&["s3:GetObject"], &["Bucket/outcomes/*", "Bucket/reports/*"]),
            (&["s3:ListBucket"], &["Bucket"]),
            (&["sqs:SendMessage"], &["FanoutQueue"]),
            (&["lambda:InvokeFunction"], &["DeliverFunction"]),
            (&["kms:Encrypt"], &["Key"]),
        ],
        "profiles" => vec![
            (&OWN_QUEUE, &["ProfilesQueue"]),
            (&["dynamodb:UpdateItem"], &["ProfilesTable"]),
            (&["dynamodb:GetItem"], &["ConfigTable"]),
            (&["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], &["LedgerTable"]),
            (&["s3:GetObject"], &["Bucket/profiles/*"]),
            (&["s3:ListBucket"], &["Bucket"]),
            (&["s3:PutObject"], &["Bucket/reports/*"]),
        ],
        "fanout" => vec![
            (&OWN_QUEUE, &["FanoutQueue"]),
            (&["sqs:SendMessage"], &["DeliverQueue"]),
            (
                &[
                    "dynamodb:BatchGetItem",
                    "dynamodb:BatchWriteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                &["LedgerTable"],
            ),
            (&["dynamodb:BatchGetItem"], &["ProfilesTable"]),
            (&["s3:GetObject"], &["Bucket/audiences/*", "Bucket/segments/*"]),
            (&["s3:ListBucket"], &["Bucket"]),
            (&["s3:PutObject"], &["Bucket/segments/*", "Bucket/reports/*"]),
        ],
        "dispatch" => vec![
            (&["sqs:SendMessage"], &["FanoutQueue", "DeliverQueue"]),
            (
                &[
                    "dynamodb:BatchGetItem",
                    "dynamodb:BatchWriteItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                &["LedgerTable"],
            ),
            (&["s3:GetObject"], &["Bucket/segments/*"]),
            (&["s3:ListBucket"], &["Bucket"]),
            (&["s3:PutObject"], &["Bucket/outcomes/*"]),
        ],
        "deliver" => vec![
            (&OWN_QUEUE, &["DeliverQueue"]),
            (
                &["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                &["LedgerTable"],
            ),
            (&["dynamodb:BatchGetItem"], &["ProfilesTable"]),
            (&["s3:GetObject"], &["Bucket/segments/*"]),
            (&["s3:ListBucket"], &["Bucket"]),
            (&["s3:PutObject"], &["Bucket/outcomes/*"]),
            (&["kms:Decrypt"], &["Key"]),
        ],
        _ => panic!("no function {function}"),
    };
    let mut allowed = BTreeSet::new();
    for (actions, things) in grants {
        for action in actions {
            allowed.extend(things.iter().map(|thing| ((*action).to_owned(), (*thing).to_owned())));
        }
    }
    allowed
}

/// The statements of a function's role.
fn statements<'a>(template: &'a Value, function: &Value) -> Vec<&'a Value> {
    let role = &template["Resources"][name(&function["Role"])];
    assert_eq!(role["Type"], "AWS::IAM::Role");
    assert_eq!(
        role["Properties"]["ManagedPolicyArns"],
        Value::Null,
        "a managed policy allows more than is needed"
    );
    list(&role["Properties"]["Policies"])
        .into_iter()
        .flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]))
        .collect()
}

#[test]
fn each_function_has_a_role_of_its_own() {
    let template = template();
    let functions = resources(&template, "AWS::Serverless::Function");
    let names: BTreeSet<_> = functions.iter().map(|(id, _)| *id).collect();
    assert_eq!(names, FUNCTIONS.iter().map(|(_, id)| *id).collect());
    let roles: BTreeSet<_> = functions.iter().map(|(_, function)| name(&function["Role"])).collect();
    assert_eq!(roles.len(), functions.len());
    assert_eq!(roles.len(), resources(&template, "AWS::IAM::Role").len());
    for (id, function) in functions {
        assert_eq!(function["Policies"], Value::Null, "{id} would get a second policy");
    }
}

#[test]
fn a_role_allows_what_its_function_needs_and_no_more() {
    let template = template();
    for (function, id) in FUNCTIONS {
        let mut granted = BTreeSet::new();
        for statement in statements(&template, &template["Resources"][id]["Properties"]) {
            assert_eq!(statement["Effect"], "Allow");
            for action in list(&statement["Action"]) {
                for thing in list(&statement["Resource"]) {
                    granted.insert((name(action), name(thing)));
                }
            }
        }
        let logs = id.replace("Function", "Logs");
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            assert!(granted.remove(&(action.to_owned(), logs.clone())), "{function} cannot write its log");
        }
        assert_eq!(granted, allowed(function), "what {function} may do (left) and what it needs (right)");
    }
}

#[test]
fn no_role_reaches_everything() {
    let template = template();
    for (id, function) in resources(&template, "AWS::Serverless::Function") {
        for statement in statements(&template, function) {
            for action in list(&statement["Action"]) {
                assert!(!name(action).contains('*'), "{id}: {action}");
            }
            for thing in list(&statement["Resource"]) {
                assert!(name(thing) != "*" && !name(thing).starts_with("arn:"), "{id}: {thing}");
            }
        }
    }
}

#[test]
fn secrets_open_only_for_the_webhook_that_they_were_closed_for() {
    let template = template();
    for id in ["ConfigFunction", "DeliverFunction"] {
        let statements = statements(&template, &template["Resources"][id]["Properties"]);
        let secrets = statements
            .iter()
            .find(|statement| name(list(&statement["Action"])[0]).starts_with("kms:"))
            .unwrap();
        let named = &secrets["Condition"]["Null"];
        for part in ["workspace", "webhook", "field"] {
            assert_eq!(
                named[format!("kms:EncryptionContext:{part}")],
                "false",
                "{id} need not name the {part}"
            );
        }
        let keys = &secrets["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"];
        assert_eq!(*keys, json!(["workspace", "webhook", "field"]));
        // The only other one is the organization key, which belongs to no webhook.
        let of_kms = |statement: &Value| name(list(&statement["Action"])[0]).starts_with("kms:");
        let all = statements.iter().filter(|statement| of_kms(statement));
        let others: Vec<_> = all.skip(1).map(|other| &other["Condition"]).collect();
        let organization_key = json!({
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["field"]},
            "StringEquals": {"kms:EncryptionContext:field": "organization_key"},
        });
        assert_eq!(others, [&organization_key], "{id}");
    }
}

#[test]
fn an_import_sees_of_the_ledger_the_records_of_uploads_alone() {
    let template = template();
    let statements = statements(&template, &template["Resources"]["ProfilesFunction"]["Properties"]);
    let ledger =
        statements.iter().find(|statement| statement["Resource"] == json!({"Fn::GetAtt": "LedgerTable.Arn"}));
    let keys = &ledger.unwrap()["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
    assert_eq!(*keys, json!(["upload#*"]));
}

#[test]
fn each_queue_that_feeds_a_function_has_dead_letters_of_its_own() {
    let template = template();
    let mut targets = BTreeSet::new();
    for (id, queue) in resources(&template, "AWS::SQS::Queue").iter().filter(|(id, _)| id.ends_with("Queue"))
    {
        let target = name(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
        assert_eq!(target, id.replace("Queue", "DeadLetters"));
        // Fewer tries would lose messages to mere throttling of the function.
        assert!(queue["RedrivePolicy"]["maxReceiveCount"].as_u64().unwrap() >= 5, "{id}");
        targets.insert(target);
    }
    assert_eq!(targets.len(), 3);
    let watched: BTreeSet<_> = resources(&template, "AWS::CloudWatch::Alarm")
        .iter()
        .filter(|(_, alarm)| alarm["Namespace"] == "AWS/SQS")
        .map(|(_, alarm)| name(&alarm["Dimensions"][0]["Value"]).replace(".QueueName", ""))
        .collect();
    assert_eq!(watched, targets, "an alarm for each queue of dead letters");
}

#[test]
fn each_metric_of_ours_that_an_alarm_watches_is_counted() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let ours: Vec<_> = alarms.iter().filter(|(_, alarm)| alarm["Namespace"] == "Fanhook").collect();
    assert!(!ours.is_empty());
    let sources: String = FUNCTIONS.iter().map(|(function, _)| source(function)).collect();
    for (id, alarm) in ours {
        let metric = alarm["MetricName"].as_str().unwrap();
        assert!(
            sources.contains(&format!("telemetry::count(&stack, \"{metric}\"")),
            "{id}: nobody counts {metric}"
        );
    }
}

#[test]
fn each_message_of_a_batch_has_a_fate_of_its_own() {
    let template = template();
    let mut fed = BTreeSet::new();
    for (id, function) in resources(&template, "AWS::Serverless::Function") {
        for event in function["Events"].as_object().unwrap().values().filter(|event| event["Type"] == "SQS") {
            let event = &event["Properties"];
            assert_eq!(event["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{id}");
            assert!(
                event["ScalingConfig"]["MaximumConcurrency"]["Ref"].is_string(),
                "{id}: no limit that can be set"
            );
            fed.insert(name(&event["Queue"]));
        }
    }
    assert_eq!(fed, ["DeliverQueue", "FanoutQueue", "ProfilesQueue"].map(str::to_owned).into());
}

#[test]
fn a_message_stays_hidden_six_times_as_long_as_its_function_may_run() {
    let template = template();
    for worker in ["Fanout", "Deliver", "Profiles"] {
        let queue = &template["Resources"][format!("{worker}Queue")]["Properties"];
        let function = &template["Resources"][format!("{worker}Function")]["Properties"];
        let visibility = default(&template, &queue["VisibilityTimeout"]).as_u64().unwrap();
        let timeout = default(&template, &function["Timeout"]).as_u64().unwrap();
        assert!(visibility >= 6 * timeout, "{worker}: {visibility} s against {timeout} s");
        // Both reach the function, which checks them again at its start: a deployment may set either.
        let variables = &function["Environment"]["Variables"];
        assert_eq!(variables["VISIBILITY_SECONDS"], queue["VisibilityTimeout"]);
        assert_eq!(variables["TIMEOUT_SECONDS"], function["Timeout"]);
    }
}

#[test]
fn no_function_is_switched_off_by_reserved_concurrency() {
    for (id, function) in resources(&template(), "AWS::Serverless::Function") {
        assert_eq!(function["ReservedConcurrentExecutions"], Value::Null, "{id}");
    }
}

#[test]
fn every_route_asks_for_a_token() {
    let template = template();
    let apis = resources(&template, "AWS::Serverless::HttpApi");
    assert_eq!(apis.len(), 1);
    let auth = &apis[0].1["Auth"];
    let authorizer = &auth["Authorizers"][auth["DefaultAuthorizer"].as_str().unwrap()];
    assert!(authorizer["JwtConfiguration"]["issuer"].is_object());
    assert_eq!(authorizer["JwtConfiguration"]["audience"].as_array().unwrap().len(), 1);
    for (id, function) in resources(&template, "AWS::Serverless::Function") {
        for event in
            function["Events"].as_object().unwrap().values().filter(|event| event["Type"] == "HttpApi")
        {
            assert_eq!(
                event["Properties"]["Auth"],
                Value::Null,
                "{id} has a rule of its own for who may call"
            );
            assert_eq!(event["Properties"]["ApiId"], json!({"Ref": "Api"}));
        }
        assert_eq!(function["FunctionUrlConfig"], Value::Null, "{id} can be called past the API");
    }
}

#[test]
fn nobody_can_let_themselves_into_a_workspace() {
    let template = template();
    for (id, client) in resources(&template, "AWS::Cognito::UserPoolClient") {
        let writable =
            client["WriteAttributes"].as_array().unwrap_or_else(|| panic!("{id} may write every attribute"));
        assert!(!writable.iter().any(|attribute| attribute.as_str().unwrap().starts_with("custom:")), "{id}");
    }
    for (id, pool) in resources(&template, "AWS::Cognito::UserPool") {
        assert_eq!(pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], true, "{id}");
    }
}

#[test]
fn what_cannot_be_made_again_is_kept() {
    let template = template();
    for id in ["ConfigTable", "ProfilesTable", "LedgerTable", "Bucket", "Key", "UserPool"] {
        let resource = &template["Resources"][id];
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{id}");
    }
    let config = &template["Resources"]["ConfigTable"]["Properties"];
    assert_eq!(config["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    let ledger = &template["Resources"]["LedgerTable"]["Properties"];
    assert_eq!(ledger["TimeToLiveSpecification"], json!({"AttributeName": "expires", "Enabled": true}));
}

#[test]
fn every_prefix_of_the_bucket_has_an_end() {
    let template = template();
    let rules = &template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"];
    let days: BTreeMap<_, _> = list(rules)
        .into_iter()
        .filter_map(|rule| {
            Some((rule["Prefix"].as_str()?, default(&template, &rule["ExpirationInDays"]).as_u64()?))
        })
        .collect();
    let wanted =
        [("audiences/", 30), ("profiles/", 30), ("segments/", 30), ("outcomes/", 400), ("reports/", 30)];
    assert_eq!(days, wanted.into());
}

#[test]
fn a_function_gets_the_variables_that_it_reads_and_no_others() {
    let template = template();
    for (function, id) in FUNCTIONS {
        let variables =
            template["Resources"][id]["Properties"]["Environment"]["Variables"].as_object().unwrap();
        let given: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
        let source = source(function);
        let mut read: BTreeSet<&str> = source
            .split("(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|text| is_variable(text) && !text.starts_with("CARGO_"))
            .collect();
        if source.contains("env.timeout()") {
            read.extend(["TIMEOUT_SECONDS", "VISIBILITY_SECONDS"]);
        }
        assert_eq!(given, read, "what {function} is given (left) and what it reads (right)");
    }
}

fn is_variable(text: &str) -> bool {
    let capitals = text.chars().all(|character| character.is_ascii_uppercase() || character == '_');
    capitals && (text.contains('_') || text == "BUCKET")
}
