'use strict';

/** Fills an account: instances with one, two or three volumes each, and a volume that belongs to none. */

const { CreateVolumeCommand, EC2Client, RunInstancesCommand } = require('@aws-sdk/client-ec2');

/** GiB. */
const DISKS = [[8], [8, 100], [16, 50, 250]];
/** One of those that moto knows. */
const IMAGE = 'ami-12c6146b';

/**
 * @param {string} endpoint
 * @param {number} instances
 * @returns {Promise<number>} what is attached to them, in GiB
 */
async function seed(endpoint, instances) {
  const ec2 = new EC2Client({ endpoint });
  let total = 0;
  for (const [kind, sizes] of DISKS.entries()) {
    const count = Math.floor((instances + kind) / DISKS.length);
    if (count === 0) continue;
    await ec2.send(new RunInstancesCommand({
      ImageId: IMAGE,
      MinCount: count,
      MaxCount: count,
      BlockDeviceMappings: sizes.map((size, disk) => ({
        DeviceName: `/dev/sd${'abc'[disk]}`,
        Ebs: { VolumeSize: size },
      })),
    }));
    total += count * sizes.reduce((sum, size) => sum + size, 0);
  }
  await ec2.send(new CreateVolumeCommand({ AvailabilityZone: `${process.env.AWS_REGION}a`, Size: 1000 }));
  ec2.destroy();
  return total;
}

module.exports = { seed };
