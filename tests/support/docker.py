"""Stands in for docker where there is none: the same words, what it says, and how it ends. What it pushes arrives in moto.

    docker.py STATE MOTO ACCOUNT words…

STATE is a file that keeps the images "of this machine".
"""
import hashlib, json, os, pathlib, sys

import boto3

state_file, moto, account, *words = sys.argv[1:]
state = json.loads(pathlib.Path(state_file).read_text() or "{}") if os.path.exists(state_file) else {}
images, logins = state.setdefault("images", {}), state.setdefault("logins", {})


def end(code, said=""):
    if said:
        print(said, file=sys.stderr)
    pathlib.Path(state_file).write_text(json.dumps(state))
    sys.exit(code)


def flags(words):
    """Values of each flag, and the one word that is none."""
    given, rest, words = {}, [], iter(words)
    for word in words:
        if word == "--pull":
            continue
        given.setdefault(word, []).append(next(words)) if word.startswith("--") else rest.append(word)
    return given, rest[0]


def sha256(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def ecr(region):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": region}
    role = f"arn:aws:iam::{account}:role/reader"
    assumed = boto3.client("sts", endpoint_url=moto, **keys).assume_role(RoleArn=role, RoleSessionName="docker")["Credentials"]
    keys = assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"]
    return boto3.Session(*keys, region).client("ecr", endpoint_url=moto)


def build(words):
    given, context = flags(words)
    file = pathlib.Path(given.get("--file", [os.path.join(context, "Dockerfile")])[0])
    if not file.exists():
        end(1, f"ERROR: failed to read dockerfile: open {file}: no such file or directory")
    # Without a value it is taken from the environment.
    pairs = [argument.partition("=") for argument in given.get("--build-arg", [])]
    arguments = {name: value if is_given else os.environ[name] for name, is_given, value in pairs}
    # BuildKit keeps secrets out of the image: it does not depend on them.
    secrets = dict(part.split("=", 1) for secret in given.get("--secret", []) for part in secret.split(","))
    if secrets:
        print(f"#7 got {os.environ[secrets['env']]} for {secrets['id']}", file=sys.stderr)
    content = [file.read_text(), arguments, given.get("--label"), given.get("--platform"), given.get("--target")]
    tag, built = given["--tag"][0], sha256(json.dumps(content))
    if images.get(tag, {}).get("Id") != built:
        images[tag] = {"Id": built, "RepoDigests": []}
    end(0, "#8 exporting to image")


def push(words):
    reference, = words
    if reference not in images:
        end(1, f"tag does not exist: {reference}")
    address, tag = reference.rsplit(":", 1)
    registry, name = address.split("/", 1)
    if not logins.get(registry):
        end(1, "no basic auth credentials")
    kind = "application/vnd.oci.image.manifest.v1+json"
    part = {"digest": images[reference]["Id"], "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [part], "config": part}
    client = ecr(registry.split(".")[3])
    try:
        put = client.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag=tag)
    except client.exceptions.ImageAlreadyExistsException:
        put = {"image": client.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])["images"][0]}
    digest = put["image"]["imageId"]["imageDigest"]
    images[reference]["RepoDigests"].append(f"{address}@{digest}")
    print(f"The push refers to repository [{address}]")
    print(f"{tag}: digest: {digest} size: 528")
    end(0)


match words:
    case ["build", *words]:
        build(words)
    case ["push", *words]:
        push(words)
    case ["image", "inspect", reference]:
        by_id = (image for image in images.values() if image["Id"] == reference)
        image = images.get(reference) or next(by_id, None)
        if not image:
            print("[]")
            end(1, f"Error response from daemon: No such image: {reference}")
        print(json.dumps([image]))
        end(0)
    case ["image", "tag", source, target]:
        images[target] = images[source]
        end(0)
    case ["login", "--username", "AWS", "--password-stdin", registry]:
        logins[registry] = sys.stdin.read()
        end(0 if logins[registry] else 1, "Login Succeeded")
    case _:
        end(125, f"unknown command: docker {' '.join(words)}")
