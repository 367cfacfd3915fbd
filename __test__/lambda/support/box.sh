#!/bin/sh
# Runs a command as AWS Lambda would: under control groups that exist already, in a file system of its own that is
# read-only but for /tmp, without /dev/shm, as a user that is in no passwd file, without capabilities, with 1,024
# descriptors. The environment is handed on. Needs root.
#
# box.sh ROOT GROUPS TASK RUNTIME NODE TOOLS TMP COMMAND...
#   ROOT     an empty directory: where the file system is put together (nothing is left in it)
#   GROUPS   control group directories, separated by blanks
#   TASK, RUNTIME, TOOLS   directories that become /var/task, /var/runtime, /opt/tools; NODE becomes /var/lang/bin/node
#   TMP      a directory that becomes /tmp; "-" for a /tmp that cannot be written to
set -eu
umask 022

# 1. Outside: join the groups, then begin anew as the first process of new namespaces.
if [ $$ -ne 1 ]; then
  for group in $2; do echo $$ > "$group/cgroup.procs"; done
  exec unshare --mount --pid --fork --kill-child sh "$0" "$@"
fi

root=$1 task=$3 runtime=$4 node=$5 tools=$6 tmp=$7
shift 7

# 2. The file system: the system's own directories, and Lambda's.
read_only() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
mount --make-rprivate /
mount -t tmpfs -o size=1m,mode=755 box "$root"
for directory in bin sbin lib lib64 lib32 usr etc; do
  [ -e "/$directory" ] || continue
  if [ -L "/$directory" ]; then
    cp -P "/$directory" "$root/$directory"
  else
    mkdir "$root/$directory"
    read_only "/$directory" "$root/$directory"
  fi
done
mkdir -p "$root/var/task" "$root/var/runtime" "$root/var/lang/bin" "$root/opt/tools" "$root/tmp" "$root/proc" "$root/dev"
read_only "$task" "$root/var/task"
read_only "$runtime" "$root/var/runtime"
read_only "$tools" "$root/opt/tools"
: > "$root/var/lang/bin/node"
read_only "$node" "$root/var/lang/bin/node"
[ "$tmp" = - ] || mount --bind "$tmp" "$root/tmp"

echo root:x:0:0:root:/:/bin/sh > "$root/passwd"
read_only "$root/passwd" "$root/etc/passwd"

mount -t proc proc "$root/proc"
for device in null zero full random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mount -o remount,ro "$root"

# 3. The user. This shell stays, since the first process of a namespace is not killed by every signal.
ulimit -c 0
ulimit -n 1024
unshare --root="$root" setpriv --reuid=993 --regid=990 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
  sh -c 'cd /var/task && exec "$@"' function "$@" &
wait $!
