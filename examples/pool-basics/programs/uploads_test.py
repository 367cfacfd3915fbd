"""What test/uploads.test.js tests, in Python: the same pool, and moto in place of the mocked client."""

import os
import unittest

import boto3
from botocore.exceptions import ClientError
from lambda_multiprocessing import Pool
from moto import mock_aws

os.environ.update(AWS_DEFAULT_REGION="eu-west-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")

FILES = {f"reports/{number}.txt": f"report {number}".encode() for number in range(20)}


def upload(bucket, key, body):
    return boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["ETag"]


def upload_all(bucket, files, processes=None):
    with Pool(processes) as pool:
        return pool.starmap(upload, [(bucket, key, body) for key, body in files.items()])


@mock_aws
class Uploads(unittest.TestCase):
    def setUp(self):
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket="archive", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def keys(self):
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket="archive").get("Contents", [])]

    def test_no_processes(self):
        tags = upload_all("archive", FILES, 0)
        self.assertEqual(len(tags), len(FILES))
        self.assertEqual(self.keys(), sorted(FILES))

    def test_error(self):
        # Pickled, it is no longer the NoSuchBucket that boto3 raised.
        with self.assertRaises(ClientError) as raised:
            upload_all("elsewhere", FILES, 0)
        self.assertEqual(raised.exception.response["Error"]["Code"], "NoSuchBucket")

    def test_two_processes(self):
        upload_all("archive", FILES, 2)
        # Each child has put its files into a copy of the mock.
        self.assertEqual(self.keys(), [])


if __name__ == "__main__":
    unittest.main()
