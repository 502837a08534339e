#!/usr/bin/env python3
"""The copy of a backup in S3, against moto's server, which checks signatures and policies as S3 does.

usage: s3_test.py DETECTION_API     (run by tests/backup/run s3, in the environment that has moto)
"""
import base64
import hashlib
import json
import logging
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

BINARY = sys.argv.pop(1) if len(sys.argv) > 1 else ""
REGION = "eu-central-1"
WRITER_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
     "Resource": "arn:aws:s3:::*/database/*"}]}


class Cutter:
    """A proxy that ends connections after so many bytes from the client, for as long as it is told to."""

    def __init__(self, port):
        self.port_behind, self.cuts_left, self.after, self.cuts = port, 0, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        limit = None
        if self.cuts_left > 0:
            self.cuts_left -= 1
            limit = self.after
        server = socket.create_connection(("127.0.0.1", self.port_behind))
        threading.Thread(target=self.pump, args=(server, client, None), daemon=True).start()
        self.pump(client, server, limit)

    def pump(self, source, target, limit):
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class S3Copy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        cls.server.start()
        _, cls.port = cls.server.get_host_and_port()
        cls.endpoint = f"http://127.0.0.1:{cls.port}"
        admin = {"region_name": REGION, "endpoint_url": cls.endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        iam = boto3.client("iam", **admin)

        def user(name, policy):
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
            key = iam.create_access_key(UserName=name)["AccessKey"]
            return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

        cls.writer = user("backup", WRITER_POLICY)
        cls.stranger = user("stranger", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]})
        everything = user("admin", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
        cls.s3 = boto3.client("s3", region_name=REGION, endpoint_url=cls.endpoint, aws_access_key_id=everything["AWS_ACCESS_KEY_ID"],
                              aws_secret_access_key=everything["AWS_SECRET_ACCESS_KEY"], config=Config(s3={"addressing_style": "path"}))
        where = {"LocationConstraint": REGION}
        cls.s3.create_bucket(Bucket="plain", CreateBucketConfiguration=where)
        cls.s3.create_bucket(Bucket="locked", CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
        cls.s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}})
        # From now on every request is held against its signature and its user's policies.
        requests.post(f"{cls.endpoint}/moto-api/reset-auth", data="0", timeout=10)
        cls.home = tempfile.TemporaryDirectory()
        cls.data = pathlib.Path(cls.home.name, "data")
        subprocess.run([BINARY, "migrate", "--data-dir", cls.data], check=True, capture_output=True)
        # Something of its own in it, and enough of it for the parts of an upload.
        import sqlite3
        with sqlite3.connect(cls.data / "detections.db") as db:
            db.execute("INSERT INTO audit_chain VALUES (1, 'serve')")
        cls.large = pathlib.Path(cls.home.name, "large")
        subprocess.run([BINARY, "migrate", "--data-dir", cls.large], check=True, capture_output=True)
        with sqlite3.connect(cls.large / "detections.db") as db:
            db.executemany("INSERT INTO revoked_token VALUES (?, 1)", ((f"{n:06}-" + os.urandom(8000).hex(),) for n in range(1200)))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.home.cleanup()

    def backup(self, url, credentials=None, data=None, endpoint=None, **environment):
        folder = tempfile.mkdtemp(dir=self.home.name)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        done = subprocess.run(
            [BINARY, "backup", "--data-dir", data or self.data, "--output", folder, "--share", "100", "--json", "--s3", url, "--s3-region", REGION,
             "--s3-endpoint", endpoint or self.endpoint],
            env=clean | (self.writer if credentials is None else credentials) | environment, capture_output=True, text=True, timeout=300, check=False)
        local = list(pathlib.Path(folder).glob("*.snapshot"))
        self.assertEqual(len(local), 1, done.stderr)  # whatever becomes of the copy
        return done, local[0]

    def copied(self, done, local, bucket):
        """The same bytes are there, and can be restored from."""
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)["s3"]
        self.assertEqual(said["key"], f"database/{local.name}")
        there = self.s3.get_object(Bucket=bucket, Key=said["key"])["Body"].read()
        self.assertEqual(hashlib.sha256(there).hexdigest(), hashlib.sha256(local.read_bytes()).hexdigest())
        return said

    def refused(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)
        for secret in (self.writer["AWS_SECRET_ACCESS_KEY"], self.stranger["AWS_SECRET_ACCESS_KEY"]):
            self.assertNotIn(secret, done.stderr)

    def test_in_one_piece(self):
        done, local = self.backup("s3://plain/database")
        self.copied(done, local, "plain")

    def test_in_parts(self):
        done, local = self.backup("s3://plain/database/", data=self.large)
        self.assertGreater(local.stat().st_size, 16 << 20)
        self.copied(done, local, "plain")
        self.assertNotIn("Uploads", self.s3.list_multipart_uploads(Bucket="plain"))

    def test_under_object_lock(self):
        done, local = self.backup("s3://locked/database")
        self.copied(done, local, "locked")
        head = self.s3.head_object(Bucket="locked", Key=f"database/{local.name}")
        self.assertEqual(head["ObjectLockMode"], "COMPLIANCE")
        with self.assertRaises(ClientError):
            self.s3.delete_object(Bucket="locked", Key=f"database/{local.name}", VersionId=head["VersionId"])
        # In parts: each is refused without its checksum. (What it is put together to has no retention at moto's, unlike S3's.)
        done, local = self.backup("s3://locked/database", data=self.large)
        self.copied(done, local, "locked")

    def test_wrong_secret(self):
        done, _ = self.backup("s3://plain/database", self.writer | {"AWS_SECRET_ACCESS_KEY": "x" * 40})
        self.refused(done, "403", "SignatureDoesNotMatch", "is good, but could not be copied")

    def test_unknown_key(self):
        done, _ = self.backup("s3://plain/database", {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40})
        self.refused(done, "403", "InvalidAccessKeyId")

    def test_key_that_may_not(self):
        done, _ = self.backup("s3://plain/database", self.stranger)
        self.refused(done, "403", "AccessDenied")
        done, _ = self.backup("s3://plain/elsewhere")
        self.refused(done, "403", "AccessDenied")

    def test_no_bucket(self):
        done, _ = self.backup("s3://nobodys/database")
        self.refused(done, "NoSuchBucket")

    def test_no_credentials(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.home.name))
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        done = subprocess.run([BINARY, "backup", "--data-dir", self.data, "--output", folder, "--s3", "s3://plain/database"],
                              env=clean, capture_output=True, text=True, timeout=60, check=False)
        self.refused(done, "no S3 credentials")
        self.assertEqual(list(folder.glob("*.snapshot")), [])  # before the work, not behind it

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        done, _ = self.backup("s3://plain/database", endpoint=f"http://127.0.0.1:{port}")
        self.refused(done, "was not reached")

    def test_cut_connection(self):
        """Cut in the middle of a piece, of a part, of the head: tried again until it is there."""
        for data, after, cuts in ((self.data, 20_000, 2), (self.large, 9_000_000, 3), (self.large, 100, 2)):
            with self.subTest(data=data.name, after=after):
                cutter = Cutter(self.port)
                cutter.after, cutter.cuts_left = after, cuts
                done, local = self.backup("s3://plain/database", data=data, endpoint=f"http://127.0.0.1:{cutter.port}")
                self.copied(done, local, "plain")
                self.assertGreaterEqual(cutter.cuts, 1)  # a connection of a short request ends unharmed

    def test_cut_for_good(self):
        cutter = Cutter(self.port)
        cutter.after, cutter.cuts_left = 9_000_000, 1_000
        done, _ = self.backup("s3://plain/database", data=self.large, endpoint=f"http://127.0.0.1:{cutter.port}")
        self.refused(done, "was not reached", "is good, but could not be copied")

    def test_pod_identity(self):
        """The agent's credentials, by its token file."""
        token = pathlib.Path(self.home.name, "token")
        token.write_text("the-token\n", encoding="utf-8")
        seen = []
        answer = json.dumps({"AccessKeyId": self.writer["AWS_ACCESS_KEY_ID"], "SecretAccessKey": self.writer["AWS_SECRET_ACCESS_KEY"],
                             "Expiration": "2099-01-01T00:00:00Z"}).encode()
        agent = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = agent.accept()
            seen.append(connection.recv(65536).decode())
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer)
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done, local = self.backup("s3://plain/database", {}, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{agent.getsockname()[1]}/v1/credentials",
                                  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))
        thread.join(5)
        self.copied(done, local, "plain")
        self.assertIn("Authorization: the-token\r\n", seen[0])

    def test_a_copy_that_is_another_is_found(self):
        """A server that keeps another byte than it was sent, and states no checksum."""
        kept = {}
        server = socket.create_server(("127.0.0.1", 0))

        def one(connection):
            stream = connection.makefile("rb")
            while line := stream.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (header := stream.readline()) not in (b"\r\n", b""):
                    name, value = header.decode().split(":", 1)
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                if method == "PUT":
                    self.assertEqual(headers["x-amz-checksum-sha256"], base64.b64encode(hashlib.sha256(body).digest()).decode())
                    kept[path] = body[:5000] + bytes([body[5000] ^ 1]) + body[5001:]
                content = b"" if method == "PUT" else kept[path]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + (b"" if method == "HEAD" else content))

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        done, _ = self.backup("s3://plain/database", endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        self.refused(done, "is not the file: its content is another")
        server.close()


if __name__ == "__main__":
    if not BINARY:
        sys.exit(__doc__)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    unittest.main(verbosity=2, warnings="ignore")
