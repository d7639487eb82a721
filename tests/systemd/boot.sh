#!/bin/bash
# Boots systemd as process 1 over a throw-away overlay of the whole machine. machine.py calls it, inside namespaces of its own:
#   boot.sh SCRATCH FOLDER...
# SCRATCH is on a tmpfs and takes what is written. Each FOLDER that lies on another filesystem than / gets an overlay too.
set -e
scratch=$1
shift
root=$scratch/root
mkdir -p "$root"
mount --make-rprivate /
overlay() { # lower, name, target
  mkdir -p "$scratch/$2/upper" "$scratch/$2/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$scratch/$2/upper,workdir=$scratch/$2/work" "$3"
}
overlay / base "$root"
number=0
for folder; do
  number=$((number + 1))
  [ "$(stat -c %d "$folder")" = "$(stat -c %d /)" ] || { mkdir -p "$root$folder"; overlay "$folder" "more$number" "$root$folder"; }
done
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs run
# The checkout may lie in /tmp, which is emptied at boot.
mkdir -p etc/tmpfiles.d
ln -sf /dev/null etc/tmpfiles.d/tmp.conf
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir -p dev/shm dev/pts
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir -p sys/fs/cgroup/{systemd,unified}
mount -t cgroup -o none,name=drophammer-test cgroup sys/fs/cgroup/systemd || true
mount -t cgroup2 cgroup2 sys/fs/cgroup/unified || true
# Not chroot: whoever lives in a chroot may not make user namespaces, and a user's units need them.
mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared /  # As systemd does where it is not in a container: services see drives that are mounted later.
export container=lxc
exec /lib/systemd/systemd --system --unit=multi-user.target
