"""ECS: clusters, task definitions, services and what their deployments do, tasks that run by themselves, tags.

What is expected is in the API reference of the action, or in the developer guide's page named beside it. Messages are
those that people quote in issues. An image's tag says what becomes of its container.
"""
import unittest

from support import ACCOUNT, Case, REGION, network

ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:"

# What an ARN of another cluster is answered with: quoted in aws-toolkit-vscode#2915 and protoactor-dotnet#2055.
OTHER = "Identifier is for cluster shop. Your cluster is other"


def tag_list(**tags: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def tags_of(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tags}


class Ecs(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ecs = cls.client("ecs")

    def cluster(self, name: str, **params: object) -> dict:
        made = self.ecs.create_cluster(clusterName=name, **params)["cluster"]
        self.settle()
        return made

    def define(self, family: str, tag: str = "healthy-1", **params: object) -> str:
        """Registers a revision for Fargate: its `family:revision`."""
        settings = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
                    "containerDefinitions": [{"name": "web", "image": f"registry.example/web:{tag}",
                                              "portMappings": [{"containerPort": 80}]}], **params}
        settings = {name: it for name, it in settings.items() if it is not None}
        made = self.ecs.register_task_definition(family=family, **settings)["taskDefinition"]
        self.settle()
        return f"{made['family']}:{made['revision']}"

    def arns(self, family: str, **params: object) -> list[str]:
        return [arn.rsplit("/")[-1] for arn in
                self.ecs.list_task_definitions(familyPrefix=family, **params)["taskDefinitionArns"]]


class Clusters(Ecs):
    def shown(self, name: str, *include: str) -> dict:
        return self.ecs.describe_clusters(clusters=[name], include=include)["clusters"][0]

    def attached(self, name: str) -> None:
        self.until(lambda: self.shown(name, "ATTACHMENTS").get("attachmentsStatus") in (None, "UPDATE_COMPLETE"),
                   "attached")

    def test_a_cluster(self) -> None:
        made = self.cluster("shop", tags=tag_list(team="web"),
                            settings=[{"name": "containerInsights", "value": "enabled"}])
        self.assertEqual((made["clusterArn"], made["clusterName"], made["status"]),
                         (ARN + "cluster/shop", "shop", "ACTIVE"))
        self.assertEqual((made["runningTasksCount"], made["pendingTasksCount"], made["activeServicesCount"],
                          made["registeredContainerInstancesCount"]), (0, 0, 0, 0))
        shown = self.shown(ARN + "cluster/shop", "TAGS", "SETTINGS")
        self.assertEqual(tags_of(shown["tags"]), {"team": "web"})
        self.assertEqual(shown["settings"], [{"name": "containerInsights", "value": "enabled"}])
        # DescribeClusters, include: what is not named is left out.
        shown = self.shown("shop")
        self.assertEqual((shown.get("tags", []), shown.get("settings", [])), ([], []))
        again = self.cluster("shop", settings=[{"name": "containerInsights", "value": "enabled"}])
        self.assertEqual(again["clusterArn"], made["clusterArn"])
        for call in [self.ecs.update_cluster_settings, self.ecs.update_cluster]:
            for value in ["disabled", "enhanced"]:
                changed = call(cluster="shop", settings=[{"name": "containerInsights", "value": value}])["cluster"]
                self.assertEqual(changed["clusterArn"], made["clusterArn"])
                self.assertEqual(self.shown("shop", "SETTINGS")["settings"][0]["value"], value)
            with self.refused("InvalidParameterException", status=400):
                call(cluster="shop", settings=[{"name": "mood", "value": "good"}])
            with self.refused("ClusterNotFoundException", status=400):
                call(cluster="absent", settings=[{"name": "containerInsights", "value": "enabled"}])
        # DeleteCluster: "The cluster transitions to the INACTIVE state […] might remain discoverable".
        self.assertEqual(self.ecs.delete_cluster(cluster="shop")["cluster"]["status"], "INACTIVE")
        self.assertEqual(self.shown("shop")["status"], "INACTIVE")
        self.assertNotIn(made["clusterArn"], self.ecs.list_clusters()["clusterArns"])
        for name in ["shop", "absent"]:
            with self.subTest(name), self.refused("ClusterNotFoundException", status=400):
                self.ecs.delete_cluster(cluster=name)
        self.assertEqual(self.cluster("shop")["status"], "ACTIVE")

    def test_the_default_cluster(self) -> None:
        missing = self.ecs.describe_clusters()
        self.assertEqual((missing["clusters"], missing["failures"]),
                         ([], [{"arn": ARN + "cluster/default", "reason": "MISSING"}]))
        with self.refused("ClusterNotFoundException", status=400):
            self.ecs.list_services()
        self.assertEqual(self.ecs.create_cluster()["cluster"]["clusterName"], "default")
        self.settle()
        self.assertEqual([it["clusterName"] for it in self.ecs.describe_clusters()["clusters"]], ["default"])
        with self.refused("InvalidParameterException", status=400):
            self.ecs.create_cluster(clusterName="a b")

    def test_capacity_providers(self) -> None:
        self.cluster("spot", capacityProviders=["FARGATE"])
        self.attached("spot")
        both = dict(capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[
            {"capacityProvider": "FARGATE_SPOT", "weight": 3}, {"capacityProvider": "FARGATE", "weight": 1, "base": 1}])
        made = self.ecs.put_cluster_capacity_providers(cluster="spot", **both)["cluster"]
        self.assertEqual(made["capacityProviders"], ["FARGATE", "FARGATE_SPOT"])
        parts = [(it["capacityProvider"], it["weight"], it["base"]) for it in made["defaultCapacityProviderStrategy"]]
        self.assertEqual(parts, [("FARGATE_SPOT", 3, 0), ("FARGATE", 1, 1)])
        self.attached("spot")
        for wrong in [{"capacityProviders": ["mine"], "defaultCapacityProviderStrategy": []},
                      {"capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": [
                          {"capacityProvider": "FARGATE_SPOT", "weight": 1}]}]:
            with self.refused("InvalidParameterException", status=400):
                self.ecs.put_cluster_capacity_providers(cluster="spot", **wrong)
        with self.refused("ClusterNotFoundException", status=400):
            self.ecs.put_cluster_capacity_providers(cluster="absent", **both)

    def test_pages(self) -> None:
        for at in range(5):
            self.cluster(f"page-{at}")
        self.paged(self.ecs, "list_clusters", "clusterArns", 2, str)
        with self.refused("InvalidParameterException", status=400):
            self.ecs.list_clusters(nextToken="absent")
        # maxResults: to 100; ValidationException is none of its errors.
        with self.refused("InvalidParameterException", status=400):
            self.ecs.list_clusters(maxResults=101)


class TaskDefinitions(Ecs):
    def test_revisions(self) -> None:
        self.assertEqual([self.define("web"), self.define("web")], ["web:1", "web:2"])
        self.define("web", tags=tag_list(team="web"), executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/run")
        reply = self.ecs.describe_task_definition(taskDefinition="web", include=["TAGS"])
        shown = reply["taskDefinition"]
        self.assertEqual(tags_of(reply["tags"]), {"team": "web"})
        self.assertNotIn("tags", self.ecs.describe_task_definition(taskDefinition="web"))
        self.assertEqual((shown["taskDefinitionArn"], shown["revision"], shown["status"]),
                         (ARN + "task-definition/web:3", 3, "ACTIVE"))
        self.assertEqual((shown["cpu"], shown["memory"], shown["networkMode"]), ("256", "512", "awsvpc"))
        self.assertIn("FARGATE", shown["compatibilities"])
        self.has(shown, "registeredAt", "registeredBy", "executionRoleArn")
        [container] = shown["containerDefinitions"]
        # ContainerDefinition, PortMapping: the defaults.
        self.assertEqual((container["essential"], container["cpu"], container["environment"]), (True, 0, []))
        self.assertEqual(container["portMappings"], [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}])
        for name in ["web:1", ARN + "task-definition/web:1"]:
            self.assertEqual(self.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["revision"], 1)
        gone = self.ecs.deregister_task_definition(taskDefinition="web:3")["taskDefinition"]
        self.assertEqual((gone["status"], gone["revision"]), ("INACTIVE", 3))
        self.has(gone, "deregisteredAt")
        shown = self.ecs.describe_task_definition(taskDefinition="web:3")["taskDefinition"]
        self.assertEqual(shown["status"], "INACTIVE")
        # "specify the family to find the latest ACTIVE revision in that family"; a number is not given out again.
        self.assertEqual(self.ecs.describe_task_definition(taskDefinition="web")["taskDefinition"]["revision"], 2)
        self.assertEqual(self.define("web"), "web:4")
        for name in ["absent", "web:9"]:
            with self.subTest(name), self.refused("ClientException", status=400):
                self.ecs.describe_task_definition(taskDefinition=name)
        for name in ["web", "web:9"]:
            with self.subTest(name), self.refused("ClientException", "InvalidParameterException", status=400):
                self.ecs.deregister_task_definition(taskDefinition=name)

    def test_lists(self) -> None:
        for _ in range(11):
            self.define("many")
        self.define("other-many")
        self.ecs.deregister_task_definition(taskDefinition="many:2")
        self.ecs.deregister_task_definition(taskDefinition="other-many:1")
        numbers = [1, *range(3, 12)]
        self.assertEqual(self.arns("many"), [f"many:{at}" for at in numbers])
        self.assertEqual(self.arns("many", sort="DESC"), [f"many:{at}" for at in reversed(numbers)])
        self.assertEqual(self.arns("many", status="INACTIVE"), ["many:2"])
        # Only what DeleteTaskDefinitions was asked for.
        self.assertEqual(self.arns("many", status="DELETE_IN_PROGRESS"), [])
        self.paged(self.ecs, "list_task_definitions", "taskDefinitionArns", 4, str, familyPrefix="many", sort="DESC")
        # Of families it is a prefix, of their revisions the whole name.
        families = self.ecs.list_task_definition_families
        self.assertEqual(families(familyPrefix="many")["families"], ["many"])
        self.assertEqual(families(familyPrefix="oth", status="ACTIVE")["families"], [])
        self.assertEqual(families(familyPrefix="oth", status="INACTIVE")["families"], ["other-many"])
        self.assertEqual(families(familyPrefix="oth")["families"], ["other-many"])
        self.paged(self.ecs, "list_task_definition_families", "families", 1, str)
        with self.not_modelled("InvalidParameterException"):
            self.ecs.list_task_definitions()

    def test_what_is_refused(self) -> None:
        web = {"name": "web", "image": "registry.example/web:healthy-1"}
        for name, wrong in [
            ("no container", {"containerDefinitions": []}), ("no image", {"containerDefinitions": [{"name": "web"}]}),
            ("no name", {"containerDefinitions": [{"image": "web"}]}), ("twice", {"containerDefinitions": [web, web]}),
            ("not essential", {"containerDefinitions": [{**web, "essential": False}]}),
            ("mode", {"networkMode": "bridge"}), ("no cpu", {"cpu": None}), ("no memory", {"memory": None}),
            ("size", {"cpu": "256", "memory": "4096"}), ("cpu", {"cpu": "300"}),
            ("role", {"containerDefinitions": [{**web, "logConfiguration": {"logDriver": "awslogs"}}]}),
            ("depends", {"containerDefinitions": [
                {**web, "dependsOn": [{"containerName": "db", "condition": "START"}]}]}),
        ]:
            with self.subTest(name), self.refused("ClientException", status=400):
                self.define("wrong", **wrong)
        with self.subTest("family"), self.refused("ClientException", status=400):
            self.define("a b")

    def test_sizes(self) -> None:
        # "String values are converted to an integer" (cpu, memory).
        for cpu, memory in [("1 vCPU", "2GB"), ("1vcpu", "2 GB")]:
            self.define("sizes", cpu=cpu, memory=memory)
            shown = self.ecs.describe_task_definition(taskDefinition="sizes")["taskDefinition"]
            self.assertEqual((shown["cpu"], shown["memory"]), ("1024", "2048"))
        with self.refused("ClientException", status=400):
            self.define("sizes", cpu="much")

    def test_what_fargate_needs(self) -> None:
        # compatibilities: ECS "validates the task definition parameters with those supported by the launch type".
        self.define("unsized", requiresCompatibilities=None, cpu=None, memory=None, containerDefinitions=[
            {"name": "web", "image": "registry.example/web:healthy-1", "memory": 128}])
        shown = self.ecs.describe_task_definition(taskDefinition="unsized")["taskDefinition"]
        self.assertNotIn("FARGATE", shown["compatibilities"])


class Running(Ecs):
    """With a cluster and a network."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.net = network(cls)
        cls.ecs.create_cluster(clusterName="shop")
        cls.ecs.create_cluster(clusterName="other")
        cls.settle()
        cls.vpc = {"awsvpcConfiguration": {"subnets": cls.net.subnets, "securityGroups": [cls.net.group]}}

    def service(self, name: str, definition: str, count: int = 1, **params: object) -> dict:
        settings = {"cluster": "shop", "serviceName": name, "taskDefinition": definition, "desiredCount": count,
                    "launchType": "FARGATE", "networkConfiguration": self.vpc, **params}
        settings = {name: it for name, it in settings.items() if it is not None}
        made = self.ecs.create_service(**settings)["service"]
        self.settle()
        return made

    def update(self, name: str, **params: object) -> dict:
        return self.ecs.update_service(cluster="shop", service=name, **params)["service"]

    def shown(self, name: str, *include: str) -> dict:
        return self.ecs.describe_services(cluster="shop", services=[name], include=include)["services"][0]

    def stable(self, *names: str) -> None:
        self.wait(self.ecs, "services_stable", attempts=600, cluster="shop", services=names)

    def states(self, name: str) -> list[str | None]:
        return [it["rolloutState"] for it in self.shown(name)["deployments"]]

    def completed(self, name: str) -> dict:
        self.until(lambda: self.states(name) == ["COMPLETED"], f"{name} is deployed", attempts=1000)
        return self.shown(name)

    def tasks(self, *arns: str, **params: object) -> list[dict]:
        """These tasks, or those that a list finds."""
        arns = arns or self.ecs.list_tasks(cluster="shop", **params)["taskArns"]
        return self.ecs.describe_tasks(cluster="shop", tasks=arns, include=["TAGS"])["tasks"] if arns else []

    def run_task(self, definition: str, **params: object) -> dict:
        settings = {"cluster": "shop", "taskDefinition": definition, "launchType": "FARGATE",
                    "networkConfiguration": self.vpc, **params}
        reply = self.ecs.run_task(**{name: it for name, it in settings.items() if it is not None})
        self.settle()
        return reply

    def repository(self, name: str) -> str:
        """Makes one; its images are named by what is returned."""
        made = self.client("ecr").create_repository(repositoryName=name)["repository"]
        self.settle()
        return made["repositoryUri"]

    def pulling(self, family: str, image: str) -> str:
        """Registers a revision of an image of ECR."""
        return self.define(family, executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/run",
                           containerDefinitions=[{"name": "web", "image": image}])

    def breaks(self, name: str, rollback: bool) -> None:
        """Deploys a service, and then a revision whose image is not there."""
        uri = self.repository(name)
        self.pulling(name, uri + ":healthy-1")
        self.service(name, f"{name}:1", deploymentConfiguration={
            "deploymentCircuitBreaker": {"enable": True, "rollback": rollback}})
        self.completed(name)
        self.pulling(name, uri + ":missing-1")
        self.update(name, taskDefinition=f"{name}:2")


class Services(Running):
    def test_a_service(self) -> None:
        self.define("web")
        made = self.service("web", "web", 2, tags=tag_list(team="web"), propagateTags="SERVICE")
        self.assertEqual((made["serviceArn"], made["clusterArn"], made["status"], made["taskDefinition"]), (
            ARN + "service/shop/web", ARN + "cluster/shop", "ACTIVE", ARN + "task-definition/web:1"))
        self.assertEqual((made["desiredCount"], made["runningCount"], made["pendingCount"]), (2, 0, 0))
        self.assertEqual((made["launchType"], made["platformVersion"], made["schedulingStrategy"],
                          made["deploymentController"]), ("FARGATE", "LATEST", "REPLICA", {"type": "ECS"}))
        # DeploymentConfiguration: the defaults of a rolling update.
        configuration = made["deploymentConfiguration"]
        self.assertEqual((configuration["maximumPercent"], configuration["minimumHealthyPercent"]), (200, 100))
        self.assertFalse(configuration["deploymentCircuitBreaker"]["enable"])
        [primary] = made["deployments"]
        self.assertEqual((primary["status"], primary["rolloutState"], primary["desiredCount"]),
                         ("PRIMARY", "IN_PROGRESS", 2))
        self.assertTrue(primary["id"].startswith("ecs-svc/"))
        self.stable("web")
        shown = self.completed("web")
        self.assertEqual((shown["runningCount"], shown["pendingCount"], len(shown["deployments"])), (2, 0, 1))
        self.assertEqual(shown["events"][0]["message"], "(service web) has reached a steady state.")
        self.assertEqual(shown["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"], "DISABLED")
        self.assertEqual(shown.get("tags", []), [])
        self.assertEqual(tags_of(self.shown("web", "TAGS")["tags"]), {"team": "web"})
        for task in self.tasks(serviceName="web"):
            self.assertEqual((task["startedBy"], task["group"], task["lastStatus"], task["launchType"]),
                             (primary["id"], "service:web", "RUNNING", "FARGATE"))
            self.assertEqual(tags_of(task["tags"]), {"team": "web"})
        cluster = self.ecs.describe_clusters(clusters=["shop"])["clusters"][0]
        self.assertGreaterEqual((cluster["runningTasksCount"], cluster["activeServicesCount"]), (2, 1))
        with self.refused("ClusterContainsServicesException", status=400):
            self.ecs.delete_cluster(cluster="shop")
        with self.refused("InvalidParameterException", status=400, says="not idempotent"):
            self.service("web", "web", 3)
        # DeleteService: "if you have no running tasks in it and the desired task count is zero", or by force.
        with self.refused("InvalidParameterException", status=400, says="scaled above 0"):
            self.ecs.delete_service(cluster="shop", service="web")
        self.update("web", desiredCount=0)
        self.assertEqual(self.ecs.delete_service(cluster="shop", service="web")["service"]["status"], "DRAINING")
        with self.refused("InvalidParameterException", status=400, says="draining"):
            self.service("web", "web")
        self.wait(self.ecs, "services_inactive", cluster="shop", services=["web"])
        with self.refused("ServiceNotActiveException", status=400):
            self.update("web", desiredCount=1)
        self.assertNotIn(made["serviceArn"], self.ecs.list_services(cluster="shop", maxResults=100)["serviceArns"])
        self.assertEqual(self.service("web", "web", 0)["status"], "ACTIVE")

    def test_what_is_not_there(self) -> None:
        self.define("there")
        reply = self.ecs.describe_services(cluster="shop", services=["absent"])
        self.assertEqual((reply["services"], reply["failures"]),
                         ([], [{"arn": ARN + "service/shop/absent", "reason": "MISSING"}]))
        with self.waiting_fails():
            self.stable("absent")
        for call in [self.ecs.update_service, self.ecs.delete_service]:
            with self.subTest(call.__name__), self.refused("ServiceNotFoundException", status=400):
                call(cluster="shop", service="absent")
            with self.subTest(call.__name__), self.refused("ClusterNotFoundException", status=400):
                call(cluster="absent", service="absent")
        with self.refused("ServiceNotFoundException", status=400):
            self.ecs.list_tasks(cluster="shop", serviceName="absent")
        for call in [self.ecs.list_services, self.ecs.list_tasks]:
            with self.subTest(call.__name__), self.refused("ClusterNotFoundException", status=400):
                call(cluster="absent")
        with self.refused("ClusterNotFoundException", status=400):
            self.service("nowhere", "there", cluster="absent")
        with self.refused("ClientException", status=400, says="TaskDefinition not found"):
            self.service("nowhere", "absent")
        for services in [[], [f"web-{at}" for at in range(11)]]:
            with self.refused("InvalidParameterException", status=400):
                self.ecs.describe_services(cluster="shop", services=services)

    def test_what_is_refused(self) -> None:
        self.define("refused")
        self.define("bridged", requiresCompatibilities=None, networkMode="bridge")
        self.define("old")
        self.ecs.deregister_task_definition(taskDefinition="old:1")
        subnets = {"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"]}}
        fargate = [{"capacityProvider": "FARGATE", "weight": 1}]
        for name, wrong in [
            ("name", {"serviceName": "a b"}), ("network", {"networkConfiguration": None}),
            ("subnets", {"networkConfiguration": subnets}), ("bridge", {"definition": "bridged"}),
            ("percents", {"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 100}}),
            ("grace", {"healthCheckGracePeriodSeconds": 60}), ("launch", {"launchType": "MOON"}),
            ("provider", {"launchType": None, "capacityProviderStrategy": fargate}),
            ("both", {"capacityProviderStrategy": fargate}),
            ("strategy", {"placementStrategy": [{"type": "random"}]}),
            ("constraint", {"placementConstraints": [{"type": "distinctInstance"}]}),
            ("platform", {"launchType": "EC2", "platformVersion": "LATEST"}),
        ]:
            with self.subTest(name), self.refused("InvalidParameterException", status=400):
                self.service(**{"name": "wrong", "definition": "refused", **wrong})
        with self.refused("ClientException", status=400, says="inactive"):
            self.service("wrong", "old:1")
        self.assertEqual(self.ecs.describe_services(cluster="shop", services=["wrong"])["services"], [])

    def test_client_tokens(self) -> None:
        self.define("once")
        made = self.service("once", "once", 0, clientToken="once")
        again = self.service("once", "once", 0, clientToken="once")
        self.assertEqual((again["serviceArn"], again["createdAt"]), (made["serviceArn"], made["createdAt"]))
        # The service model has no code of its own for a token that was used with other parameters.
        with self.refused("InvalidParameterException", status=400):
            self.service("once", "once", 1, clientToken="once")

    def test_lists(self) -> None:
        self.define("listed")
        self.ecs.create_cluster(clusterName="lists")
        self.settle()
        for at in range(11):
            self.service(f"web-{at:02}", "listed", 0, cluster="lists")
        # ListServices, maxResults: 10 if it is not given.
        pages = self.pages(self.ecs, "list_services", "serviceArns", cluster="lists")
        self.assertEqual([len(page) for page in pages], [10, 1])
        self.paged(self.ecs, "list_services", "serviceArns", 4, str, cluster="lists")
        self.assertEqual(self.ecs.list_services(cluster="lists", launchType="EC2")["serviceArns"], [])
        self.assertEqual(len(self.ecs.list_services(cluster="lists", launchType="FARGATE")["serviceArns"]), 10)
        self.assertEqual(self.ecs.list_services(cluster="lists", schedulingStrategy="DAEMON")["serviceArns"], [])
        self.assertEqual(len(self.ecs.list_services(cluster="lists", schedulingStrategy="REPLICA")["serviceArns"]), 10)

    def test_another_cluster(self) -> None:
        # An ARN of another cluster is refused; an ID is looked for in the cluster that is named.
        self.define("here")
        service = self.service("here", "here", 0)["serviceArn"]
        task = self.run_task("here")["tasks"][0]["taskArn"]
        with self.subTest("id"):
            reply = self.ecs.describe_tasks(cluster="other", tasks=[task.rsplit("/")[-1]])
            self.assertEqual((reply["tasks"], [it["reason"] for it in reply["failures"]]), ([], ["MISSING"]))
        for call, params in [(self.ecs.describe_services, {"services": [service]}),
                             (self.ecs.describe_tasks, {"tasks": [task]}), (self.ecs.stop_task, {"task": task}),
                             (self.ecs.list_tasks, {"serviceName": service}),
                             (self.ecs.update_service, {"service": service, "desiredCount": 1}),
                             (self.ecs.delete_service, {"service": service})]:
            with self.subTest(call.__name__), self.refused("InvalidParameterException", status=400, says=OTHER):
                call(cluster="other", **params)


class Deployments(Running):
    def test_scaling(self) -> None:
        self.define("scaled")
        self.service("scaled", "scaled", 1)
        self.completed("scaled")
        self.assertEqual(self.update("scaled", desiredCount=3)["desiredCount"], 3)
        self.stable("scaled")
        shown = self.shown("scaled")
        # UpdateService, desiredCount: "This parameter doesn't trigger a new service deployment."
        self.assertEqual((shown["runningCount"], len(shown["deployments"])), (3, 1))
        self.update("scaled", desiredCount=1)
        self.until(lambda: self.shown("scaled")["runningCount"] == 1, "one is left")

    def test_a_new_revision(self) -> None:
        self.define("rolled")
        self.service("rolled", "rolled:1", 2)
        first = self.completed("rolled")["deployments"][0]
        self.define("rolled", "healthy-2")
        # UpdateService takes the newest revision of a family.
        made = self.update("rolled", taskDefinition="rolled")
        self.assertEqual(made["taskDefinition"], ARN + "task-definition/rolled:2")
        self.assertEqual([(it["status"], it["taskDefinition"].rsplit(":")[-1]) for it in made["deployments"]],
                         [("PRIMARY", "2"), ("ACTIVE", "1")])
        least = 2
        for _ in range(1000):
            if self.states("rolled") == ["COMPLETED"]:
                break
            least = min(least, self.shown("rolled")["runningCount"])
        # "Rolling deployments": no fewer than minimumHealthyPercent, 100, are running meanwhile.
        self.assertEqual(least, 2)
        [last] = self.shown("rolled")["deployments"]
        self.assertNotEqual(last["id"], first["id"])
        self.assertEqual((last["runningCount"], last["failedTasks"]), (2, 0))
        self.until(lambda: {it["taskDefinitionArn"] for it in self.tasks(serviceName="rolled")}
                   == {ARN + "task-definition/rolled:2"}, "the old ones are gone")
        forced = self.update("rolled", forceNewDeployment=True)
        self.assertEqual([it["status"] for it in forced["deployments"]], ["PRIMARY", "ACTIVE"])
        self.assertNotEqual(self.completed("rolled")["deployments"][0]["id"], last["id"])

    def test_the_circuit_breaker(self) -> None:
        self.breaks("broken", rollback=False)
        self.until(lambda: self.states("broken") == ["FAILED", "COMPLETED"], "given up", attempts=1000)
        self.advance(600)
        shown = self.shown("broken")
        failed, before = shown["deployments"]
        self.assertEqual((failed["status"], failed["taskDefinition"]), ("PRIMARY", ARN + "task-definition/broken:2"))
        # "the failure threshold": at least 3; what was there before goes on.
        self.assertEqual((failed["failedTasks"], failed["runningCount"], before["runningCount"]), (3, 0, 1))
        self.assertTrue(failed["rolloutStateReason"].startswith("ECS deployment circuit breaker: "))
        self.assertEqual(shown["taskDefinition"], ARN + "task-definition/broken:2")
        self.assertIn(f"(service broken) (deployment {failed['id']}) deployment failed: tasks failed to start.",
                      [it["message"] for it in shown["events"]])
        with self.waiting_fails():
            self.wait(self.ecs, "services_stable", attempts=5, cluster="shop", services=["broken"])

    def test_rolling_back(self) -> None:
        self.breaks("back", rollback=True)
        shown = self.until(lambda: (it := self.shown("back"))["taskDefinition"] == ARN + "task-definition/back:1" and it,
                           "it rolls back", attempts=1000)
        # Deployment, rolloutState: "the deployment transitions to a FAILED state. A deployment in FAILED state doesn't
        # launch any new tasks." It is shown beside the one that takes its place.
        self.assertEqual([it["rolloutState"] for it in shown["deployments"]], ["IN_PROGRESS", "FAILED"])
        shown = self.completed("back")
        self.assertEqual((shown["taskDefinition"], shown["runningCount"]), (ARN + "task-definition/back:1", 1))
        said = [it["message"] for it in shown["events"]]
        self.assertTrue([it for it in said if it.endswith("deployment failed: tasks failed to start.")], said)
        self.assertTrue([it for it in said if "rolling back to deployment ecs-svc/" in it], said)
        # The configuration that was not given has its defaults.
        self.assertEqual(shown["deploymentConfiguration"]["maximumPercent"], 200)

    def test_a_stopped_task_is_replaced(self) -> None:
        self.define("replaced")
        self.service("replaced", "replaced", 1)
        self.stable("replaced")
        [task] = self.tasks(serviceName="replaced")
        self.ecs.stop_task(cluster="shop", task=task["taskArn"], reason="to see")
        self.wait(self.ecs, "tasks_stopped", cluster="shop", tasks=[task["taskArn"]])
        self.stable("replaced")
        [other] = self.tasks(serviceName="replaced")
        self.assertNotEqual(other["taskArn"], task["taskArn"])

    def test_capacity_providers(self) -> None:
        self.ecs.create_cluster(clusterName="spot", capacityProviders=["FARGATE", "FARGATE_SPOT"],
                                defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
        self.settle()
        self.define("spot")
        made = self.service("spot", "spot", 1, cluster="spot", launchType=None)
        self.assertNotIn("launchType", made)
        self.assertEqual([it["capacityProvider"] for it in made["capacityProviderStrategy"]], ["FARGATE_SPOT"])
        self.wait(self.ecs, "services_stable", cluster="spot", services=["spot"])
        arns = self.ecs.list_tasks(cluster="spot")["taskArns"]
        [task] = self.ecs.describe_tasks(cluster="spot", tasks=arns)["tasks"]
        self.assertEqual(task["capacityProviderName"], "FARGATE_SPOT")
        with self.refused("ResourceInUseException", status=400):
            self.ecs.put_cluster_capacity_providers(cluster="spot", capacityProviders=["FARGATE"],
                                                    defaultCapacityProviderStrategy=[])

    def test_no_container_instances(self) -> None:
        self.define("metal", requiresCompatibilities=["EC2"])
        self.service("metal", "metal", 1, launchType="EC2")
        self.until(lambda: [it for it in self.shown("metal")["events"] if "unable to place a task" in it["message"]],
                   "it says so")
        self.assertEqual(self.shown("metal")["runningCount"], 0)

    def test_images_that_are_not_there(self) -> None:
        self.pulling("pulled", self.repository("pulled") + ":missing-1")
        [task] = self.run_task("pulled")["tasks"]
        with self.waiting_fails():
            self.wait(self.ecs, "tasks_running", cluster="shop", tasks=[task["taskArn"]])
        [task] = self.tasks(task["taskArn"])
        # "Stopped tasks error codes".
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertTrue(task["stoppedReason"].startswith("CannotPullContainerError"), task["stoppedReason"])


class Balanced(Running):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.elb = cls.client("elbv2")

    def target_group(self, name: str, kind: str = "ip") -> str:
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.net.vpc, TargetType=kind,
                                            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        self.settle()
        return made["TargetGroups"][0]["TargetGroupArn"]

    def behind(self, arn: str, container: str = "web", port: int = 80) -> list[dict]:
        return [{"targetGroupArn": arn, "containerName": container, "containerPort": port}]

    def test_tasks_are_targets(self) -> None:
        self.define("web")
        web, bare, instances = self.target_group("web"), self.target_group("bare"), self.target_group("old", "instance")
        made = self.elb.create_load_balancer(Name="web", Subnets=self.net.subnets, SecurityGroups=[self.net.group])
        self.client("ec2").authorize_security_group_ingress(
            GroupId=self.net.group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81,
                                                    "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.settle()
        for port, group in [(80, web), (81, instances)]:
            self.elb.create_listener(LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"], Protocol="HTTP",
                                     Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        self.settle()
        for name, wrong in [
            ("absent", self.behind(web + "0")), ("unused", self.behind(bare)), ("instances", self.behind(instances)),
            ("container", self.behind(web, "db")), ("port", self.behind(web, port=81)),
        ]:
            with self.subTest(name), self.refused("InvalidParameterException", status=400):
                self.service("wrong", "web", loadBalancers=wrong)
        made = self.service("web", "web", 2, loadBalancers=self.behind(web), healthCheckGracePeriodSeconds=60)
        self.assertEqual((made["loadBalancers"], made["healthCheckGracePeriodSeconds"]), (self.behind(web), 60))
        self.completed("web")
        health = self.elb.describe_target_health(TargetGroupArn=web)["TargetHealthDescriptions"]
        self.assertEqual([it["TargetHealth"]["State"] for it in health], ["healthy", "healthy"])
        addresses = {container["networkInterfaces"][0]["privateIpv4Address"]
                     for task in self.tasks(serviceName="web") for container in task["containers"]}
        self.assertEqual({it["Target"]["Id"] for it in health}, addresses)
        self.ecs.delete_service(cluster="shop", service="web", force=True)
        self.wait(self.ecs, "services_inactive", attempts=1000, cluster="shop", services=["web"])
        self.settle()
        self.assertEqual(self.elb.describe_target_health(TargetGroupArn=web)["TargetHealthDescriptions"], [])


class Tasks(Running):
    def test_a_task(self) -> None:
        self.define("job", "never-healthy-1")  # It does not end by itself.
        over = {"containerOverrides": [{"name": "web", "command": ["migrate"], "environment": [
            {"name": "stage", "value": "test"}]}], "ephemeralStorage": {"sizeInGiB": 30}}
        reply = self.run_task("job", startedBy="me", overrides=over, tags=tag_list(team="web"),
                              enableExecuteCommand=True, platformVersion="1.4.0", group="jobs",
                              enableECSManagedTags=True)
        self.assertEqual(reply["failures"], [])
        [task] = reply["tasks"]
        self.assertTrue(task["taskArn"].startswith(ARN + "task/shop/"))
        self.assertEqual((task["clusterArn"], task["taskDefinitionArn"], task["group"], task["startedBy"]),
                         (ARN + "cluster/shop", ARN + "task-definition/job:1", "jobs", "me"))
        self.assertEqual((task["platformVersion"], task["enableExecuteCommand"], task["ephemeralStorage"]),
                         ("1.4.0", True, {"sizeInGiB": 30}))
        self.assertEqual((task["desiredStatus"], task["launchType"], task["cpu"], task["memory"]),
                         ("RUNNING", "FARGATE", "256", "512"))
        self.assertEqual(task["lastStatus"], "PROVISIONING")
        self.assertEqual(task["overrides"]["containerOverrides"], over["containerOverrides"])
        arn = task["taskArn"]
        self.wait(self.ecs, "tasks_running", cluster="shop", tasks=[arn])
        [task] = self.tasks(arn.rsplit("/")[-1])
        self.has(task, "createdAt", "startedAt", "availabilityZone")
        self.assertEqual(tags_of(task["tags"]), {"team": "web", "aws:ecs:clusterName": "shop"})
        [container] = task["containers"]
        self.assertEqual((container["name"], container["lastStatus"], container["taskArn"]), ("web", "RUNNING", arn))
        details = {it["name"]: it["value"] for it in task["attachments"][0]["details"]}
        interface = self.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])
        self.assertEqual(interface["NetworkInterfaces"][0]["PrivateIpAddress"], details["privateIPv4Address"])
        self.assertEqual(self.ecs.list_tasks(cluster="shop", startedBy="me")["taskArns"], [arn])
        with self.refused("ClusterContainsTasksException", status=400):
            self.ecs.delete_cluster(cluster="shop")
        gone = self.ecs.stop_task(cluster="shop", task=arn, reason="to see")["task"]
        self.assertEqual((gone["desiredStatus"], gone["stopCode"], gone["stoppedReason"]),
                         ("STOPPED", "UserInitiated", "to see"))
        self.wait(self.ecs, "tasks_stopped", cluster="shop", tasks=[arn])
        self.has(self.tasks(arn)[0], "stoppingAt", "stoppedAt")
        self.assertNotIn(arn, self.ecs.list_tasks(cluster="shop")["taskArns"])
        self.assertIn(arn, self.ecs.list_tasks(cluster="shop", desiredStatus="STOPPED")["taskArns"])
        # DescribeTasks: "Currently, stopped tasks appear in the returned results for at least one hour."
        self.advance(3700)
        failures = self.ecs.describe_tasks(cluster="shop", tasks=[arn])["failures"]
        self.assertEqual(failures, [{"arn": arn, "reason": "MISSING"}])

    def test_tasks_end(self) -> None:
        for tag, code in [("healthy-1", 0), ("exits-3", 3)]:
            [task] = self.run_task(self.define("ending", tag))["tasks"]
            self.wait(self.ecs, "tasks_stopped", cluster="shop", tasks=[task["taskArn"]])
            [task] = self.tasks(task["taskArn"])
            self.assertEqual((task["stopCode"], task["desiredStatus"], task["containers"][0]["exitCode"]),
                             ("EssentialContainerExited", "STOPPED", code))
            self.assertEqual(task["stoppedReason"], "Essential container in task exited")

    def test_no_task_to_stop(self) -> None:
        with self.refused("InvalidParameterException", status=400, says="not found"):
            self.ecs.stop_task(cluster="shop", task="0123456789abcdef0123456789abcdef")
        with self.refused("ClusterNotFoundException", status=400):
            self.ecs.stop_task(cluster="absent", task="0123456789abcdef0123456789abcdef")

    def test_what_a_service_gives_its_tasks(self) -> None:
        self.define("given", tags=tag_list(team="web"))
        self.service("given", "given", propagateTags="TASK_DEFINITION", enableECSManagedTags=True,
                     enableExecuteCommand=True)
        self.stable("given")
        [task] = self.tasks(serviceName="given")
        # "Use Amazon ECS managed tags": the cluster, and the service.
        self.assertEqual(tags_of(task["tags"]), {
            "team": "web", "aws:ecs:clusterName": "shop", "aws:ecs:serviceName": "given"})
        # CreateService, enableExecuteCommand: "If true, this enables execute command functionality on all containers in
        # the service tasks."
        self.assertTrue(task["enableExecuteCommand"])
        self.assertEqual(task["containers"][0]["managedAgents"],
                         [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}])

    def test_client_tokens(self) -> None:
        self.define("once")
        made = self.run_task("once", count=2, clientToken="one")["tasks"]
        again = self.run_task("once", count=2, clientToken="one")["tasks"]
        self.assertEqual([it["taskArn"] for it in again], [it["taskArn"] for it in made])
        # RunTask, ConflictException: "The provided clientToken is already in use with a different RunTask request."
        with self.refused("ConflictException", status=400):
            self.run_task("once", count=3, clientToken="one")

    def test_lists(self) -> None:
        self.define("listed")
        made = self.run_task("listed", count=5)["tasks"]
        self.assertEqual(len(made), 5)
        self.paged(self.ecs, "list_tasks", "taskArns", 2, str, cluster="shop", family="listed")
        self.assertEqual(self.ecs.list_tasks(cluster="shop", family="absent")["taskArns"], [])
        self.assertEqual(self.ecs.list_tasks(cluster="shop", launchType="EC2")["taskArns"], [])
        # ListTasks, desiredStatus: PENDING "doesn't return any results".
        self.assertEqual(self.ecs.list_tasks(cluster="shop", desiredStatus="PENDING")["taskArns"], [])

    def test_what_is_refused(self) -> None:
        self.define("refused")
        for name, wrong in [
            ("count", {"count": 11}), ("network", {"networkConfiguration": None}), ("launch", {"launchType": "EC2"}),
            ("container", {"overrides": {"containerOverrides": [{"name": "db"}]}}),
            ("strategy", {"placementStrategy": [{"type": "random"}]}),
        ]:
            with self.subTest(name), self.refused("InvalidParameterException", status=400):
                self.run_task("refused", **wrong)
        with self.refused("ClientException", status=400, says="TaskDefinition not found"):
            self.run_task("absent")
        with self.refused("ClusterNotFoundException", status=400):
            self.run_task("refused", cluster="absent")
        with self.refused("InvalidParameterException", status=400):
            self.ecs.describe_tasks(cluster="shop", tasks=[])
        with self.refused("ClusterNotFoundException", status=400):
            self.ecs.describe_tasks(cluster="absent", tasks=["one"])

    def test_propagated_tags(self) -> None:
        # RunTask, propagateTags: "Specifies whether to propagate the tags from the task definition to the task."
        self.define("tagged", tags=tag_list(team="web"))
        [task] = self.run_task("tagged", propagateTags="TASK_DEFINITION")["tasks"]
        with self.subTest("definition"):
            self.assertEqual(tags_of(self.tasks(task["taskArn"])[0]["tags"]), {"team": "web"})
        [task] = self.run_task("tagged", propagateTags="TASK_DEFINITION", tags=tag_list(team="shop"))["tasks"]
        with self.subTest("own"):
            self.assertEqual(tags_of(self.tasks(task["taskArn"])[0]["tags"]), {"team": "shop"})
        # RunTask: "An error will be received if you specify the SERVICE option when running a task."
        with self.subTest("service"), self.refused("InvalidParameterException", status=400):
            self.run_task("tagged", propagateTags="SERVICE")

    def test_platform_versions(self) -> None:
        # RunTask, PlatformUnknownException: "The specified platform version doesn't exist."
        self.define("platform")
        with self.refused("PlatformUnknownException", status=400):
            self.run_task("platform", platformVersion="9.9.9")
        for version, shown in [("1.3.0", "1.3.0"), ("LATEST", "1.4.0"), (None, "1.4.0")]:
            [task] = self.run_task("platform", platformVersion=version)["tasks"]
            self.assertEqual((task["platformVersion"], task["group"]), (shown, "family:platform"))


class Tags(Running):
    def test_tags(self) -> None:
        definition = self.define("tagged", "never-healthy-1")
        service = self.service("tagged", "tagged", 0)["serviceArn"]
        task = self.run_task("tagged", enableECSManagedTags=True)["tasks"][0]["taskArn"]
        managed = {"aws:ecs:clusterName": "shop"}
        for arn in [ARN + "cluster/shop", ARN + f"task-definition/{definition}", service, task]:
            with self.subTest(arn):
                self.ecs.tag_resource(resourceArn=arn, tags=tag_list(team="web", old="yes"))
                self.ecs.tag_resource(resourceArn=arn, tags=tag_list(team="shop"))
                self.ecs.untag_resource(resourceArn=arn, tagKeys=["old"])
                self.assertEqual(tags_of(self.ecs.list_tags_for_resource(resourceArn=arn)["tags"]),
                                 {"team": "shop", **(managed if arn == task else {})})
                with self.refused("InvalidParameterException", "LimitExceededException", status=400):
                    self.ecs.tag_resource(resourceArn=arn, tags=tag_list(**{f"tag{at}": "" for at in range(50)}))

        # "You cannot edit or delete tag keys or values with this prefix. Tags with this prefix do not count against your
        # tags per resource limit."
        for call, change in [(self.ecs.untag_resource, {"tagKeys": list(managed)}),
                             (self.ecs.tag_resource, {"tags": tag_list(**managed)})]:
            with self.subTest(call.__name__), self.refused("InvalidParameterException", status=400):
                call(resourceArn=task, **change)
        self.ecs.tag_resource(resourceArn=task, tags=tag_list(**{f"tag{at}": "" for at in range(49)}))

    def test_what_is_not_there(self) -> None:
        with self.refused("ClusterNotFoundException", status=400):
            self.ecs.list_tags_for_resource(resourceArn=ARN + "cluster/absent")
        for arn in [ARN + "service/shop/absent", ARN + "mood/good", "arn:aws:s3:::tags"]:
            with self.subTest(arn), self.refused("InvalidParameterException", status=400):
                self.ecs.tag_resource(resourceArn=arn, tags=tag_list(team="web"))


if __name__ == "__main__":
    unittest.main()
