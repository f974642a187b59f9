/* The kernel's own files: other processes, the machine's settings, one's own bounds. */
#include "probe.h"
#include <dirent.h>

/* The same file of every process that is seen. */
static void of_everyone(char **a) {
    DIR *all = opendir("/proc");
    struct dirent *one;
    if (!all) fail("/proc");
    while ((one = readdir(all))) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/%s", one->d_name, a[0]);
        int fd = *one->d_name >= '0' && *one->d_name <= '9' ? open(path, O_RDONLY) : -1;
        if (fd >= 0) {
            char text[8192];
            ssize_t got;
            while ((got = read(fd, text, sizeof text)) > 0) {
                for (ssize_t i = 0; i < got; i++)
                    if (!text[i]) text[i] = '\n';
                fwrite(text, 1, got, stdout);
            }
            puts("");
            close(fd);
        }
    }
}

static void memory(char **a) {
    char path[64], text[256] = {0};
    snprintf(path, sizeof path, "/proc/%s/mem", a[0]);
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail(path);
    TRY(pread(fd, text, 128, strtoull(a[1], NULL, 16)));
    puts(text);
}

static void write_memory(char **a) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/mem", a[0]);
    int fd = open(path, O_WRONLY);
    if (fd < 0) fail(path);
    TRY(pwrite(fd, "X", 1, strtoull(a[1], NULL, 16)));
}

static void set(char **a) {
    int fd = open(a[0], O_WRONLY);
    if (fd < 0) fail(a[0]);
    TRY(write(fd, a[1], strlen(a[1])));
}

/* As `set`, and then lets itself be looked at. */
static void set_own(char **a) {
    set(a);
    hold();
}

static void hex(char **a) {
    unsigned char bytes[1024];
    int fd = open(a[0], O_RDONLY);
    if (fd < 0) fail(a[0]);
    ssize_t got = TRY(read(fd, bytes, sizeof bytes));
    for (ssize_t i = 0; i < got; i++) printf("%02x", bytes[i]);
    puts("");
}

static void own_map(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
        char text[64];
        (void)a;
        snprintf(text, sizeof text, "0 %d 1", getuid());
        TRY(syscall(SYS_unshare, CLONE_NEWUSER));
        int fd = TRY(open("/proc/self/uid_map", O_WRONLY));
        TRY(write(fd, text, strlen(text)));
        linger();
    }
    hold_both(child);
}

const struct attack proc_files[] = {{"of-everyone", of_everyone}, {"memory", memory}, {"write-memory", write_memory},
                                    {"set", set},                 {"set-own", set_own}, {"hex", hex},
                                    {"own-map", own_map},         {NULL, NULL}};
