"""Whether this machine's kernel hears of every change in a folder, or others can change it behind its back."""

from __future__ import annotations

import ctypes
import os

# Magic numbers of statfs(2), from linux/magic.h and the filesystems' sources: those where another machine, or a
# program in user space, changes files without an inotify event here, and where a lease speaks for this machine only.
_SHARED = {
    0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB", 0x517B: "SMB", 0x65735546: "FUSE", 0x01021997: "9p",
    0x786F4256: "a VirtualBox share", 0xBACBACBC: "a VMware share", 0x00C36400: "Ceph", 0x5346414F: "AFS", 0x6B414653: "AFS",
    0x0BD00BD0: "Lustre", 0x01161970: "GFS2", 0x7461636F: "OCFS2", 0x73757245: "Coda", 0x564C: "NCP",
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def shared_kind(folder: str) -> str | None:
    """Name the kind of shared filesystem that `folder` lies on; None when it is a local one.

    Raises
    ------
    OSError
        When the folder is not there.
    """
    answer = ctypes.create_string_buffer(512)  # struct statfs is 120 bytes on x86-64; its first field is a long
    if _libc.statfs(os.fsencode(folder), answer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), folder)
    return _SHARED.get(ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF)
