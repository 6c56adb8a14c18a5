"""ECR: repositories, their policies and tags, and images.

What is expected is in the API reference of the action. Nobody pushes layers: every tag of a new repository is there,
but for those that begin with `missing`. PutImage puts a tag to an image that is there: "Retagging an image".
"""
import base64
import json
import unittest

from support import ACCOUNT, Case, REGION, tag_list, tags_of

RULES = json.dumps({"rules": [{"rulePriority": 1, "selection": {
    "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"}}]})
PULL = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Sid": "pull", "Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": ["ecr:BatchGetImage"]}]})


class Registry(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ecr = cls.client("ecr")

    def make(self, name: str, **params: object) -> dict:
        made = self.ecr.create_repository(repositoryName=name, **params)["repository"]
        self.settle()
        return made

    def shown(self, name: str) -> dict:
        return self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]

    def images(self, name: str, *tags: str) -> dict:
        return self.ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag} for tag in tags])

    def manifest(self, name: str, tag: str) -> str:
        return self.images(name, tag)["images"][0]["imageManifest"]

    def detail(self, name: str, **image: str) -> dict:
        return self.ecr.describe_images(repositoryName=name, imageIds=[image])["imageDetails"][0]

    def put(self, name: str, tag: str, manifest: str, **params: str) -> dict:
        made = self.ecr.put_image(repositoryName=name, imageTag=tag, imageManifest=manifest, **params)["image"]
        self.settle()
        return made


class Repositories(Registry):
    def test_a_repository(self) -> None:
        made = self.make("shop/web")
        self.assertEqual((made["repositoryArn"], made["registryId"], made["repositoryUri"]), (
            f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/web", ACCOUNT,
            f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web"))
        self.has(made, "createdAt")
        # CreateRepository: the defaults.
        self.assertEqual((made["imageTagMutability"], made["imageScanningConfiguration"]),
                         ("MUTABLE", {"scanOnPush": False}))
        self.assertEqual(made["encryptionConfiguration"], {"encryptionType": "AES256"})
        self.assertEqual(self.shown("shop/web"), made)
        with self.refused("RepositoryAlreadyExistsException", status=400, says="shop/web"):
            self.make("shop/web")
        gone = self.ecr.delete_repository(repositoryName="shop/web")["repository"]
        self.settle()
        self.assertEqual(gone["repositoryArn"], made["repositoryArn"])
        named = dict(repositoryName="shop/web")
        for call, params in [
            (self.ecr.delete_repository, named), (self.ecr.describe_repositories, {"repositoryNames": ["shop/web"]}),
            (self.ecr.put_image_tag_mutability, {**named, "imageTagMutability": "MUTABLE"}),
            (self.ecr.get_lifecycle_policy, named), (self.ecr.get_repository_policy, named),
            (self.ecr.describe_images, {**named, "imageIds": [{"imageTag": "v1"}]}),
            (self.ecr.batch_get_image, {**named, "imageIds": [{"imageTag": "v1"}]}),
            (self.ecr.list_tags_for_resource, {"resourceArn": made["repositoryArn"]}),
        ]:
            with self.subTest(call.__name__), self.refused("RepositoryNotFoundException", status=400, says=ACCOUNT):
                call(**params)

    def test_settings(self) -> None:
        key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d"
        made = self.make("settings", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True},
                         encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key})
        self.assertEqual((made["imageTagMutability"], made["imageScanningConfiguration"]),
                         ("IMMUTABLE", {"scanOnPush": True}))
        self.assertEqual(made["encryptionConfiguration"], {"encryptionType": "KMS", "kmsKey": key})
        changed = self.ecr.put_image_tag_mutability(repositoryName="settings", imageTagMutability="MUTABLE")
        self.assertEqual((changed["registryId"], changed["repositoryName"], changed["imageTagMutability"]),
                         (ACCOUNT, "settings", "MUTABLE"))
        changed = self.ecr.put_image_scanning_configuration(repositoryName="settings",
                                                            imageScanningConfiguration={"scanOnPush": False})
        self.assertEqual(changed["imageScanningConfiguration"], {"scanOnPush": False})
        shown = self.shown("settings")
        self.assertEqual((shown["imageTagMutability"], shown["imageScanningConfiguration"]),
                         ("MUTABLE", {"scanOnPush": False}))
        with self.refused("InvalidParameterException", status=400):
            self.ecr.put_image_tag_mutability(repositoryName="settings", imageTagMutability="FIXED")
        # EncryptionConfiguration: "If no key is specified, the default […] KMS key for Amazon ECR will be used."
        made = self.make("own-key", encryptionConfiguration={"encryptionType": "KMS"})
        self.has(made, "encryptionConfiguration.kmsKey")
        # kmsKey: "The alias, key ID, or full ARN of the KMS key can be specified."
        made = self.make("by-id", encryptionConfiguration={"encryptionType": "KMS", "kmsKey": "0a1b2c3d"})
        self.assertEqual(made["encryptionConfiguration"]["kmsKey"], key)

    def test_names(self) -> None:
        # CreateRepository, repositoryName: the pattern.
        for name in ["a--b", "a__b", "a.b", "1/2-3/c"]:
            with self.subTest(name):
                self.make(name)
        for name in ["Shop", "a..b", "a._b", "a___b", "a b", "-a", "a/", "a//b", "a:b"]:
            with self.subTest(name), self.refused("InvalidParameterException", status=400, says="repositoryName"):
                self.make(name)

    def test_tags(self) -> None:
        arn = self.make("tags", tags=tag_list(team="web", old="yes"))["repositoryArn"]
        self.ecr.tag_resource(resourceArn=arn, tags=tag_list(team="shop"))
        self.ecr.untag_resource(resourceArn=arn, tagKeys=["old", "absent"])
        self.assertEqual(tags_of(self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]), {"team": "shop"})
        # TooManyTagsException: "The maximum number of tags that can be applied to a repository is 50."
        many = tag_list(**{f"tag{at}": "" for at in range(51)})
        with self.refused("TooManyTagsException", status=400):
            self.ecr.tag_resource(resourceArn=arn, tags=many)
        with self.refused("TooManyTagsException", status=400):
            self.make("many-tags", tags=many)
        # "Tag keys can have a maximum character length of 128 characters, and tag values […] of 256 characters."
        for long in [tag_list(**{"a" * 129: ""}), tag_list(a="a" * 257)]:
            with self.refused("InvalidTagParameterException", status=400):
                self.ecr.tag_resource(resourceArn=arn, tags=long)
        with self.refused("InvalidParameterException", status=400):
            self.ecr.list_tags_for_resource(resourceArn="arn:aws:s3:::tags")

    def test_pages(self) -> None:
        for at in range(5):
            self.make(f"page-{at}")
        self.paged(self.ecr, "describe_repositories", "repositories", 2, lambda it: it["repositoryName"])
        with self.refused("InvalidParameterException", status=400):
            self.ecr.describe_repositories(nextToken="absent")
        # maxResults: to 1000; ValidationException is none of its errors.
        with self.refused("InvalidParameterException", status=400):
            self.ecr.describe_repositories(maxResults=1001)


class Policies(Registry):
    def test_lifecycle_policies(self) -> None:
        self.make("lifecycle")
        for call in [self.ecr.get_lifecycle_policy, self.ecr.delete_lifecycle_policy]:
            with self.subTest(call.__name__), self.refused("LifecyclePolicyNotFoundException", status=400):
                call(repositoryName="lifecycle")
        for text in ["none", json.dumps({"rules": [{"rulePriority": 0}]})]:
            with self.refused("InvalidParameterException", status=400):
                self.ecr.put_lifecycle_policy(repositoryName="lifecycle", lifecyclePolicyText=text + " " * 100)
        made = self.ecr.put_lifecycle_policy(repositoryName="lifecycle", lifecyclePolicyText=RULES)
        shown = self.ecr.get_lifecycle_policy(repositoryName="lifecycle")
        gone = self.ecr.delete_lifecycle_policy(repositoryName="lifecycle")
        for reply in [made, shown, gone]:
            self.assertEqual((reply["registryId"], reply["repositoryName"]), (ACCOUNT, "lifecycle"))
            self.assertEqual(json.loads(reply["lifecyclePolicyText"]), json.loads(RULES))
        with self.refused("LifecyclePolicyNotFoundException"):
            self.ecr.get_lifecycle_policy(repositoryName="lifecycle")

    def test_repository_policies(self) -> None:
        self.make("policy")
        for call in [self.ecr.get_repository_policy, self.ecr.delete_repository_policy]:
            with self.subTest(call.__name__), self.refused("RepositoryPolicyNotFoundException", status=400):
                call(repositoryName="policy")
        with self.refused("InvalidParameterException", status=400):
            self.ecr.set_repository_policy(repositoryName="policy", policyText="none")
        made = self.ecr.set_repository_policy(repositoryName="policy", policyText=PULL)
        shown = self.ecr.get_repository_policy(repositoryName="policy")
        gone = self.ecr.delete_repository_policy(repositoryName="policy")
        for reply in [made, shown, gone]:
            self.assertEqual((reply["registryId"], reply["repositoryName"]), (ACCOUNT, "policy"))
            self.assertEqual(json.loads(reply["policyText"]), json.loads(PULL))
        with self.refused("RepositoryPolicyNotFoundException"):
            self.ecr.get_repository_policy(repositoryName="policy")


class Images(Registry):
    def test_a_token(self) -> None:
        data, = self.ecr.get_authorization_token()["authorizationData"]
        # GetAuthorizationToken: "a base64-encoded string that can be decoded" to user and password, valid for 12 hours.
        self.assertTrue(base64.b64decode(data["authorizationToken"]).startswith(b"AWS:"))
        self.assertEqual(data["proxyEndpoint"], f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com")
        self.has(data, "expiresAt")

    def test_images(self) -> None:
        self.make("images")
        one = self.detail("images", imageTag="healthy-1")
        self.assertEqual((one["registryId"], one["repositoryName"], one["imageTags"]),
                         (ACCOUNT, "images", ["healthy-1"]))
        self.assertRegex(one["imageDigest"], "^sha256:[0-9a-f]{64}$")
        self.has(one, "imagePushedAt", "imageSizeInBytes", "imageManifestMediaType")
        self.assertEqual(self.detail("images", imageDigest=one["imageDigest"])["imageDigest"], one["imageDigest"])
        self.assertNotEqual(self.detail("images", imageTag="healthy-2")["imageDigest"], one["imageDigest"])
        # BatchGetImage says what it did not find beside what it found; DescribeImages finds all or none.
        found = self.images("images", "healthy-1", "missing-1")
        self.assertEqual([it["imageId"] for it in found["images"]],
                         [{"imageTag": "healthy-1", "imageDigest": one["imageDigest"]}])
        self.assertEqual([(it["imageId"], it["failureCode"]) for it in found["failures"]],
                         [({"imageTag": "missing-1"}, "ImageNotFound")])
        for image in [{"imageTag": "missing-1"}, {"imageDigest": "sha256:" + "0" * 64}]:
            with self.subTest(image), self.refused("ImageNotFoundException", status=400, says="images"):
                self.detail("images", **image)

    def test_a_tag_is_moved(self) -> None:
        self.make("moved")
        text = self.manifest("moved", "healthy-1")
        one = self.detail("moved", imageTag="healthy-1")["imageDigest"]
        made = self.put("moved", "latest", text)
        self.assertEqual((made["imageId"], made["imageManifest"]), ({"imageTag": "latest", "imageDigest": one}, text))
        self.assertEqual(self.detail("moved", imageTag="latest")["imageDigest"], one)
        with self.refused("ImageAlreadyExistsException", status=400):
            self.put("moved", "latest", text)
        other = self.manifest("moved", "healthy-2")
        with self.refused("ImageDigestDoesNotMatchException", status=400):
            self.put("moved", "latest", other, imageDigest=one)
        self.put("moved", "latest", other)
        self.assertNotEqual(self.detail("moved", imageTag="latest")["imageDigest"], one)
        self.assertEqual(self.manifest("moved", "latest"), other)
        with self.refused("LayersNotFoundException", "InvalidParameterException", status=400):
            self.put("moved", "latest", json.dumps({"schemaVersion": 2}))

    def test_a_tag_that_does_not_move(self) -> None:
        self.make("fixed", imageTagMutability="IMMUTABLE")
        self.put("fixed", "missing-1", self.manifest("fixed", "healthy-1"))
        # Neither one that was put nor one that was there from the beginning.
        for tag in ["missing-1", "healthy-1"]:
            with self.subTest(tag), self.refused("ImageTagAlreadyExistsException", status=400, says="immutable"):
                self.put("fixed", tag, self.manifest("fixed", "healthy-2"))
        # "A list of filters that specify which image tags should be excluded from the image tag mutability setting".
        but = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
               "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest*"}]}
        self.ecr.put_image_tag_mutability(repositoryName="fixed", **but)
        shown = self.shown("fixed")
        self.assertEqual({name: shown[name] for name in but}, but)
        for tag in ["healthy-1", "healthy-2"]:
            self.put("fixed", "latest", self.manifest("fixed", tag))
        with self.refused("ImageTagAlreadyExistsException", status=400):
            self.put("fixed", "missing-1", self.manifest("fixed", "healthy-2"))
        for wrong in [{**but, "imageTagMutability": "MUTABLE"}, {"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}]:
            with self.refused("InvalidParameterException", status=400):
                self.ecr.put_image_tag_mutability(repositoryName="fixed", **wrong)
        self.ecr.put_image_tag_mutability(repositoryName="fixed", imageTagMutability="MUTABLE")
        self.assertNotIn("imageTagMutabilityExclusionFilters", self.shown("fixed"))

    def test_images_go(self) -> None:
        self.make("full")
        image = self.put("full", "v1", self.manifest("full", "healthy-1"))["imageId"]
        with self.refused("RepositoryNotEmptyException", status=400, says="images"):
            self.ecr.delete_repository(repositoryName="full")
        gone = self.ecr.batch_delete_image(repositoryName="full",
                                           imageIds=[{"imageTag": "v1"}, {"imageTag": "missing-1"}])
        self.assertEqual(gone["imageIds"], [image])
        self.assertEqual([(it["imageId"], it["failureCode"]) for it in gone["failures"]],
                         [({"imageTag": "missing-1"}, "ImageNotFound")])
        self.ecr.delete_repository(repositoryName="full")
        self.settle()
        self.make("full")
        self.put("full", "v1", self.manifest("full", "healthy-1"))
        self.ecr.delete_repository(repositoryName="full", force=True)
        self.settle()
        with self.refused("RepositoryNotFoundException"):
            self.shown("full")

    def test_all_tags_of_an_image(self) -> None:
        # ImageDetail, imageTags: "The list of tags associated with this image."
        self.make("two-tags")
        self.put("two-tags", "latest", self.manifest("two-tags", "healthy-1"))
        for tag in ["latest", "healthy-1"]:
            with self.subTest(tag):
                self.assertCountEqual(self.detail("two-tags", imageTag=tag)["imageTags"], ["healthy-1", "latest"])
        digest = self.detail("two-tags", imageTag="latest")["imageDigest"]
        self.assertCountEqual(self.detail("two-tags", imageDigest=digest)["imageTags"], ["healthy-1", "latest"])
        # A tag is of one image.
        self.put("two-tags", "healthy-1", self.manifest("two-tags", "healthy-2"))
        self.assertEqual(self.detail("two-tags", imageTag="latest")["imageTags"], ["latest"])
        self.assertCountEqual(self.detail("two-tags", imageTag="healthy-2")["imageTags"], ["healthy-1", "healthy-2"])

    def test_tags_that_were_there_from_the_beginning(self) -> None:
        self.make("there")
        text, digest = self.manifest("there", "healthy-1"), self.detail("there", imageTag="healthy-1")["imageDigest"]
        with self.refused("ImageAlreadyExistsException", status=400):
            self.put("there", "healthy-1", text)
        self.put("there", "latest", text)
        self.ecr.batch_delete_image(repositoryName="there", imageIds=[{"imageTag": "healthy-1"}])
        with self.refused("ImageNotFoundException", status=400):
            self.detail("there", imageTag="healthy-1")
        self.assertEqual([it["failureCode"] for it in self.images("there", "healthy-1")["failures"]], ["ImageNotFound"])
        self.assertEqual(self.detail("there", imageDigest=digest)["imageTags"], ["latest"])
        # BatchDeleteImage: "When you remove the last tag from an image, the image is deleted from your repository."
        self.ecr.batch_delete_image(repositoryName="there", imageIds=[{"imageTag": "latest"}])
        with self.refused("ImageNotFoundException", status=400):
            self.detail("there", imageDigest=digest)
        self.put("there", "healthy-1", text)
        self.assertEqual(self.detail("there", imageTag="healthy-1")["imageTags"], ["healthy-1"])


if __name__ == "__main__":
    unittest.main()
