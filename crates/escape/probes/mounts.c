/* Rebuilding the world, or leaving it: mounts, roots, namespaces. */
#include "probe.h"
#include <linux/mount.h>
#include <linux/sched.h>
#define MOUNT(from, at, kind, bits) syscall(SYS_mount, from, at, kind, (unsigned long)(bits), NULL)
#define OLD_RDONLY 1
#define OLD_REMOUNT 32
#define OLD_BIND 4096

static void over(char **a) {
    TRY(MOUNT(mark, a[0], "tmpfs", 0));
    hold();
}

static void bind_cat(char **a) {
    TRY(MOUNT(a[0], a[1], NULL, OLD_BIND));
    char path[600];
    snprintf(path, sizeof path, "%s/%s", a[1], a[2]);
    cat(path);
}

static void bind_put(char **a) {
    TRY(MOUNT(a[0], a[1], NULL, OLD_BIND));
    char path[600];
    snprintf(path, sizeof path, "%s/%s", a[1], a[2]);
    put(path);
}

static void remount_put(char **a) {
    if (MOUNT(NULL, a[0], NULL, OLD_REMOUNT | OLD_BIND) < 0 && errno != EINVAL) fail("remount");
    put(a[1]);
}

static void attributes_put(char **a) {
    struct mount_attr off = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (syscall(SYS_mount_setattr, AT_FDCWD, a[0], 0, &off, sizeof off) < 0 && errno != EINVAL) fail("mount_setattr");
    put(a[1]);
}

static void new_api(char **a) {
    int context = TRY(syscall(SYS_fsopen, "tmpfs", 0));
    TRY(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", mark, 0));
    TRY(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int made = TRY(syscall(SYS_fsmount, context, 0, 0));
    TRY(syscall(SYS_move_mount, made, "", AT_FDCWD, a[0], MOVE_MOUNT_F_EMPTY_PATH));
    hold();
}

static void tree_cat(char **a) {
    int tree = TRY(syscall(SYS_open_tree, AT_FDCWD, a[0], OPEN_TREE_CLONE));
    cat_fd(TRY(openat(tree, a[1], O_RDONLY)));
}

static void tree_put(char **a) {
    int tree = TRY(syscall(SYS_open_tree, AT_FDCWD, a[0], OPEN_TREE_CLONE));
    struct mount_attr off = {.attr_clr = MOUNT_ATTR_RDONLY};
    TRY(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &off, sizeof off));
    int fd = TRY(openat(tree, a[1], O_WRONLY));
    TRY(write(fd, mark, strlen(mark)));
}

static void detach_cat(char **a) {
    if (syscall(SYS_umount2, a[0], 2) < 0 && errno != EINVAL) fail("umount2");
    cat(a[1]);
}

static void chroot_away(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
        TRY(chroot(a[0]));
        linger();
    }
    hold_both(child);
}

static void chroot_cat(char **a) {
    TRY(chdir(a[0]));
    TRY(mkdir("sub", 0755));
    TRY(chroot("sub"));
    for (int i = 0; i < 20; i++) TRY(chdir(".."));
    cat(a[1] + 1);
}

static void pivot(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
        TRY(syscall(SYS_unshare, CLONE_NEWNS));
        TRY(MOUNT(NULL, "/", NULL, 0x44000));
        TRY(MOUNT(a[0], a[0], NULL, OLD_BIND));
        TRY(chdir(a[0]));
        TRY(syscall(SYS_pivot_root, ".", "."));
        linger();
    }
    hold_both(child);
}

/* A namespace by name: by unshare in a child, which has one thread. */
static void unshare_one(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
        TRY(syscall(SYS_unshare, strtoul(a[0], NULL, 16)));
        linger();
    }
    hold_both(child);
}

static void unshare_by_i386(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
#ifdef __x86_64__
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(310L), "b"(strtoul(a[0], NULL, 16)) : "r8", "r9", "r10", "r11");
        errno = -result;
        if (result < 0) fail("int 0x80");
#else
        (void)a;
        errno = ENOSYS, fail("int 0x80");
#endif
        linger();
    }
    hold_both(child);
}

static void clone_one(char **a) {
    pid_t child = TRY(syscall(SYS_clone, strtoul(a[0], NULL, 16) | SIGCHLD, NULL, NULL, NULL, NULL));
    if (!child) linger();
    hold_both(child);
}

static void clone3_one(char **a) {
    struct clone_args how = {.flags = strtoul(a[0], NULL, 16), .exit_signal = SIGCHLD};
    pid_t child = TRY(syscall(SYS_clone3, &how, sizeof how));
    if (!child) linger();
    hold_both(child);
}

/* All the way: root in a user namespace of one's own, then the mounts that this permits. */
static void nested(char **a) {
    uid_t uid = getuid();
    TRY(syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS));
    char map[64];
    snprintf(map, sizeof map, "0 %d 1", uid);
    int fd = TRY(open("/proc/self/uid_map", O_WRONLY));
    TRY(write(fd, map, strlen(map)));
    TRY(MOUNT(NULL, "/", NULL, 0x44000));
    bind_cat(a);
}

static void join(char **a) {
    int fd = open(a[0], O_RDONLY);
    if (fd < 0) fail(a[0]);
    pid_t child = TRY(fork());
    if (!child) {
        TRY(syscall(SYS_setns, fd, 0));
        linger();
    }
    hold_both(child);
}

static void join_process(char **a) {
    int fd = TRY(syscall(SYS_pidfd_open, atoi(a[0]), 0));
    TRY(syscall(SYS_setns, fd, CLONE_NEWNS));
    cat(a[1]);
}

/* A control group's release agent is run by the kernel, outside of everything. */
static void release_agent(char **a) {
    TRY(syscall(SYS_mount, mark, a[0], "cgroup", 0UL, "none,name=escape"));
    hold();
}

const struct attack mounts[] = {{"over", over},
                                {"bind-cat", bind_cat},
                                {"bind-put", bind_put},
                                {"remount-put", remount_put},
                                {"attributes-put", attributes_put},
                                {"new-api", new_api},
                                {"tree-cat", tree_cat},
                                {"tree-put", tree_put},
                                {"detach-cat", detach_cat},
                                {"chroot", chroot_away},
                                {"chroot-cat", chroot_cat},
                                {"pivot", pivot},
                                {"unshare", unshare_one},
                                {"unshare-by-i386", unshare_by_i386},
                                {"clone", clone_one},
                                {"clone3", clone3_one},
                                {"nested", nested},
                                {"join", join},
                                {"join-process", join_process},
                                {"release-agent", release_agent},
                                {NULL, NULL}};
