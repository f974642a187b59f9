/* Links, renames and races between them and whoever looks. */
#include "probe.h"
#include <linux/fs.h>

static void follow(char **a) {
    TRY(symlink(a[0], a[1]));
    cat(a[1]);
}

static void follow_to_put(char **a) {
    TRY(symlink(a[0], a[1]));
    put(a[1]);
}

static void create_through(char **a) {
    TRY(symlink(a[0], a[1]));
    int fd = TRY(open(a[1], O_WRONLY | O_CREAT, 0644));
    TRY(write(fd, mark, strlen(mark)));
}

static void hard_link_cat(char **a) {
    TRY(link(a[0], a[1]));
    cat(a[1]);
}

static void hard_link_put(char **a) {
    TRY(link(a[0], a[1]));
    put(a[1]);
}

static void hard_link_by_descriptor(char **a) {
    char path[64];
    int fd = TRY(open(a[0], O_RDONLY));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY(linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW));
    put(a[1]);
}

static void rename_cat(char **a) {
    TRY(rename(a[0], a[1]));
    cat(a[1]);
}

static void rename_only(char **a) { TRY(rename(a[0], a[1])); }

static void exchange(char **a) {
    close(TRY(open(a[1], O_WRONLY | O_CREAT, 0644)));
    TRY(syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_EXCHANGE));
}

static void whiteout(char **a) { TRY(syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_WHITEOUT)); }

static void nameless(char **a) {
    char path[64];
    int fd = TRY(open(a[0], O_TMPFILE | O_WRONLY, 0644));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY(linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW));
}

/* Swaps `now` between a file of ours and a link, while it is opened over and over. */
static void race_link(char **a) {
    char plain[512], other[512];
    snprintf(plain, sizeof plain, "%s.plain", a[1]);
    snprintf(other, sizeof other, "%s.link", a[1]);
    pid_t child = TRY(fork());
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            close(open(plain, O_WRONLY | O_CREAT, 0644));
            rename(plain, a[1]);
            if (symlink(a[0], other)) {
            }
            rename(other, a[1]);
        }
    }
    for (int i = 0; i < 20000; i++) {
        char text[128];
        int fd = open(a[1], O_RDONLY);
        ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text);
        if (got > 0) {
            fwrite(text, 1, got, stdout);
            break;
        }
        close(fd);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Swaps a folder of ours with a link to a foreign one, below a path that is being opened. */
static void race_folder(char **a) {
    char real[512], other[512], file[600];
    snprintf(real, sizeof real, "%s/now", a[1]);
    snprintf(other, sizeof other, "%s/later", a[1]);
    snprintf(file, sizeof file, "%s/key", real);
    TRY(mkdir(real, 0755));
    TRY(symlink(a[0], other));
    close(TRY(open(file, O_WRONLY | O_CREAT, 0644)));
    pid_t child = TRY(fork());
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) syscall(SYS_renameat2, AT_FDCWD, real, AT_FDCWD, other, RENAME_EXCHANGE);
    }
    for (int i = 0; i < 20000; i++) {
        char text[128];
        int fd = open(file, O_RDONLY);
        ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text);
        if (got > 0) {
            fwrite(text, 1, got, stdout);
            break;
        }
        close(fd);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* A folder that is moved while one stands in it takes `..` somewhere else. */
static void race_parent(char **a) {
    char deep[512], moved[512];
    snprintf(deep, sizeof deep, "%s/a/b/c", a[0]);
    snprintf(moved, sizeof moved, "%s/a", a[0]);
    TRY(mkdir(moved, 0755));
    snprintf(moved, sizeof moved, "%s/a/b", a[0]);
    TRY(mkdir(moved, 0755));
    TRY(mkdir(deep, 0755));
    TRY(chdir(deep));
    snprintf(deep, sizeof deep, "%s/out", a[0]);
    TRY(rename(moved, deep));
    cat(a[1]);
}

const struct attack links[] = {{"follow", follow},
                               {"follow-to-put", follow_to_put},
                               {"create-through", create_through},
                               {"hard-link-cat", hard_link_cat},
                               {"hard-link-put", hard_link_put},
                               {"hard-link-by-descriptor", hard_link_by_descriptor},
                               {"rename-cat", rename_cat},
                               {"rename", rename_only},
                               {"exchange", exchange},
                               {"whiteout", whiteout},
                               {"nameless", nameless},
                               {"race-link", race_link},
                               {"race-folder", race_folder},
                               {"race-parent", race_parent},
                               {NULL, NULL}};
