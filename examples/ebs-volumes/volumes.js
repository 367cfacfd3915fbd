'use strict';

/**
 * The program itself: which instances are there, and how many GiB of volumes are attached to each. Knows EC2's API,
 * and neither who calls it nor on how many cores.
 *
 * As a module for workers it exports `totalOf`, for a sub-batch of a `Parallelizer`, and `sizeOf`, for an item of a
 * `Pool`. Region, credentials and address come from the environment, as they do on Lambda.
 */

const { EC2Client, paginateDescribeInstances, paginateDescribeVolumes } = require('@aws-sdk/client-ec2');

/** The SDK's 50 would make one client wait where two do not, and what is compared here is not connections. */
const CONNECTIONS = { maxSockets: 200 };

/** @param {string} [endpoint] EC2's own by default */
const makeClient = (endpoint) => new EC2Client({
  endpoint,
  requestHandler: { httpAgent: CONNECTIONS, httpsAgent: CONNECTIONS },
});

/** Made once for each process: a client holds the connections, and takes longer to make than a call. */
let shared;
const client = () => (shared ??= makeClient());

/** @param {EC2Client} ec2 @returns {Promise<string[]>} their ids */
async function listInstances(ec2 = client()) {
  const ids = [];
  for await (const { Reservations = [] } of paginateDescribeInstances({ client: ec2 }, { MaxResults: 1000 })) {
    for (const { Instances = [] } of Reservations) ids.push(...Instances.map(({ InstanceId }) => InstanceId));
  }
  return ids;
}

/**
 * @param {import('@aws-sdk/client-ec2').DescribeVolumesCommandInput} query
 * @param {EC2Client} ec2
 * @returns {Promise<number>} GiB
 */
async function sumVolumes(query, ec2) {
  let size = 0;
  for await (const { Volumes = [] } of paginateDescribeVolumes({ client: ec2 }, query)) {
    for (const { Size } of Volumes) size += Size;
  }
  return size;
}

/** Of one instance: one request. @param {string} instanceId */
const sizeOf = (instanceId, ec2 = client()) => (
  sumVolumes({ Filters: [{ Name: 'attachment.instance-id', Values: [instanceId] }] }, ec2)
);

/** Of all volumes that are attached to anything: one request for 500 of them. */
const attachedTotal = (ec2 = client()) => (
  sumVolumes({ Filters: [{ Name: 'attachment.status', Values: ['attached'] }], MaxResults: 500 }, ec2)
);

/** @param {number[]} sizes */
const sum = (sizes) => sizes.reduce((total, size) => total + size, 0);

/** Of a sub-batch of instances: a request for each, all at the same time. @param {{ batch: string[] }} call */
const totalOf = async ({ batch }) => sum(await Promise.all(batch.map((id) => sizeOf(id))));

module.exports = { makeClient, listInstances, sizeOf, totalOf, attachedTotal, sum };
