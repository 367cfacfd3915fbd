'use strict';

// How many workers a machine, a container or a Lambda function can really run.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const os = require('node:os');
const { usableCpus, countCpus, cgroupCpuQuota, workerHeapMegabytes, onLambda } = require('../lib/host/cpus');

/** A file system with only these files. */
const files = (contents) => (file) => contents[file] ?? null;

const V2_MOUNT = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const V1_MOUNT =
  '33 32 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n' +
  '34 32 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n';

test('this machine has at least one CPU and at most those that the system offers', () => {
  const count = usableCpus({});
  assert.ok(Number.isInteger(count));
  assert.ok(count >= 1 && count <= os.availableParallelism());
});

test('on Lambda the memory decides, and is read at each call', () => {
  const cores = usableCpus({});
  assert.equal(usableCpus({ AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512' }), 1);
  assert.equal(usableCpus({ AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '10240' }), Math.min(6, cores));
  assert.equal(usableCpus({}), cores);
});

test('the smallest of cores, quota and memory share decides', () => {
  const count = (available, quota, megabytes) =>
    countCpus({ available, quota, env: megabytes === undefined ? {} : { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: megabytes } });
  assert.equal(count(8, Infinity), 8);
  assert.equal(count(8, 2), 2);
  assert.equal(count(8, 2.5), 3);
  assert.equal(count(8, 1.4), 1);
  assert.equal(count(8, 0.1), 1);
  assert.equal(count(2, 16), 2);
  assert.equal(count(6, Infinity, '128'), 1);
  assert.equal(count(6, Infinity, '1769'), 1);
  assert.equal(count(6, Infinity, '2654'), 2);
  assert.equal(count(6, Infinity, '3538'), 2);
  assert.equal(count(6, Infinity, '10240'), 6);
  assert.equal(count(2, Infinity, '10240'), 2);
  assert.equal(count(4, Infinity, 'nonsense'), 4);
  assert.equal(count(4, Infinity, ''), 4);
});

test('no cgroup, no quota', () => {
  assert.equal(cgroupCpuQuota(files({})), Infinity);
  assert.equal(cgroupCpuQuota(files({ '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': V2_MOUNT })), Infinity);
});

test('version 2: a quota, no quota, and nonsense', () => {
  const quota = (max) =>
    cgroupCpuQuota(
      files({ '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': V2_MOUNT, '/sys/fs/cgroup/cpu.max': max }),
    );
  assert.equal(quota('150000 100000\n'), 1.5);
  assert.equal(quota('400000 200000\n'), 2);
  assert.equal(quota('max 100000\n'), Infinity);
  assert.equal(quota(''), Infinity);
  assert.equal(quota('0 0'), Infinity);
  assert.equal(quota('-1 100000'), Infinity);
});

test('version 2: the tightest quota of the groups above the process decides', () => {
  const read = files({
    '/proc/self/cgroup': '0::/system.slice/app.service/worker\n',
    '/proc/self/mountinfo': V2_MOUNT,
    '/sys/fs/cgroup/system.slice/app.service/worker/cpu.max': 'max 100000',
    '/sys/fs/cgroup/system.slice/app.service/cpu.max': '200000 100000',
    '/sys/fs/cgroup/system.slice/cpu.max': '800000 100000',
    '/sys/fs/cgroup/other/cpu.max': '1000 100000',
  });
  assert.equal(cgroupCpuQuota(read), 2);
});

test('version 1: the group of the hierarchy with the CPU controller', () => {
  const read = files({
    '/proc/self/cgroup': '12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/other\n0::/\n',
    '/proc/self/mountinfo': V1_MOUNT,
    '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '250000\n',
    '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
    '/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us': '-1\n',
    '/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us': '100000\n',
  });
  assert.equal(cgroupCpuQuota(read), 2.5);
});

test('version 1: -1 means no quota', () => {
  const read = files({
    '/proc/self/cgroup': '4:cpu,cpuacct:/\n',
    '/proc/self/mountinfo': V1_MOUNT,
    '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
    '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
  });
  assert.equal(cgroupCpuQuota(read), Infinity);
});

test('a container whose mount shows only its own group, with paths of the host', () => {
  const read = files({
    '/proc/self/cgroup': '4:cpu,cpuacct:/docker/abc/inner\n',
    '/proc/self/mountinfo': '34 32 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
  });
  assert.equal(cgroupCpuQuota(read), 3);
});

test('a group outside the mount: the top of the mount is read', () => {
  const read = files({
    '/proc/self/cgroup': '0::/../sibling\n',
    '/proc/self/mountinfo': '30 23 0:26 /me /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    '/sys/fs/cgroup/cpu.max': '100000 100000',
  });
  assert.equal(cgroupCpuQuota(read), 1);
});

test('both versions at once, a mount point with a space, and unreadable mounts', () => {
  const both = files({
    '/proc/self/cgroup': '4:cpu:/a\n0::/b\n',
    '/proc/self/mountinfo':
      '34 32 0:29 / /my\\040cgroups/cpu rw - cgroup cgroup rw,cpu\n30 23 0:26 / /unified rw - cgroup2 cgroup2 rw\n',
    '/my cgroups/cpu/a/cpu.cfs_quota_us': '200000',
    '/my cgroups/cpu/a/cpu.cfs_period_us': '100000',
    '/unified/b/cpu.max': '300000 100000',
  });
  assert.equal(cgroupCpuQuota(both), 2);
  const usual = files({ '/proc/self/cgroup': '0::/x\n', '/sys/fs/cgroup/x/cpu.max': '50000 100000' });
  assert.equal(cgroupCpuQuota(usual), 0.5);
});

test('Lambda is recognized by either variable', () => {
  assert.equal(onLambda({}), false);
  assert.equal(onLambda({ AWS_LAMBDA_FUNCTION_NAME: 'f' }), true);
  assert.equal(onLambda({ AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128' }), true);
});

test('the heaps of all workers and the parent fit into the memory of the function', () => {
  assert.equal(workerHeapMegabytes(2, {}), null);
  for (const megabytes of [256, 512, 1024, 1769, 3008, 10240]) {
    for (const count of [1, 2, 4]) {
      const each = workerHeapMegabytes(count, { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(megabytes) });
      assert.ok(Number.isInteger(each) && each >= 32);
      assert.ok(each * count <= megabytes - 64, `${count} × ${each} of ${megabytes}`);
      assert.ok(each * count >= megabytes / 2, 'most of it is for the workers');
    }
  }
  assert.equal(workerHeapMegabytes(1024, { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128' }), 32);
});
