/* Every way to a socket that somebody else serves. */
#include "probe.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>

static socklen_t inet_to(const char *host, const char *port, struct sockaddr_storage *to) {
    struct sockaddr_in *four = (void *)to;
    struct sockaddr_in6 *six = (void *)to;
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET, four->sin_port = htons(atoi(port));
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6, six->sin6_port = htons(atoi(port));
        return sizeof *six;
    }
    fail("an address");
}

static socklen_t unix_to(const char *name, struct sockaddr_un *to) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    snprintf(to->sun_path, sizeof to->sun_path, "%s", name);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + strlen(to->sun_path);
    if (*name == '=') to->sun_path[0] = 0; /* abstract */
    return *name == '=' ? size : sizeof *to;
}

/* `stream PROTOCOL HOST PORT`: connects, and sends MARK. */
static void stream(char **a) {
    struct sockaddr_storage to;
    socklen_t size = inet_to(a[1], a[2], &to);
    int socket_ = TRY(socket(to.ss_family, SOCK_STREAM, atoi(a[0])));
    TRY(connect(socket_, (void *)&to, size));
    TRY(send(socket_, mark, strlen(mark), 0));
}

static void fast_open(char **a) {
    struct sockaddr_storage to;
    socklen_t size = inet_to(a[0], a[1], &to);
    int socket_ = TRY(socket(to.ss_family, SOCK_STREAM, 0));
    TRY(sendto(socket_, mark, strlen(mark), MSG_FASTOPEN, (void *)&to, size));
}

static void datagram(char **a) {
    struct sockaddr_storage to;
    socklen_t size = inet_to(a[0], a[1], &to);
    int socket_ = TRY(socket(to.ss_family, SOCK_DGRAM, 0));
    TRY(sendto(socket_, mark, strlen(mark), 0, (void *)&to, size));
}

static void broadcast(char **a) {
    struct sockaddr_storage to;
    socklen_t size = inet_to("127.255.255.255", a[0], &to);
    int socket_ = TRY(socket(AF_INET, SOCK_DGRAM, 0)), one = 1;
    TRY(setsockopt(socket_, SOL_SOCKET, SO_BROADCAST, &one, sizeof one));
    TRY(sendto(socket_, mark, strlen(mark), 0, (void *)&to, size));
}

/* A question for names, whose first label is what is carried out. */
static void resolve(char **a) {
    struct sockaddr_storage to;
    socklen_t size = inet_to(a[0], a[1], &to);
    unsigned char query[128] = {7, 7, 1, 0, 0, 1};
    size_t length = strlen(mark), at = 12;
    query[at++] = length;
    memcpy(query + at, mark, length);
    memcpy(query + at + length, "\7example\0\0\20\0\1", 13);
    int socket_ = TRY(socket(to.ss_family, SOCK_DGRAM, 0));
    TRY(sendto(socket_, query, at + length + 13, 0, (void *)&to, size));
}

/* Where names are asked for: what resolv.conf says inside, and nobody bare. */
static int resolver(char *at) {
    FILE *file = fopen("/etc/resolv.conf", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "nameserver %63s", at) == 1 && !strncmp(at, "198.18.", 7)) return 1;
    return 0;
}

/* Asks for NAME (dots between labels) and a type; gives the answer's length. */
static ssize_t ask(const char *server, const char *name, int type, int kind, unsigned char *answer, size_t room) {
    struct sockaddr_storage to;
    socklen_t size = inet_to(server, "53", &to);
    unsigned char query[600] = {0, 0, 7, 7, 1, 0, 0, 1}, *at = query + 14;
    for (const char *label = name; *label;) {
        size_t length = strcspn(label, ".");
        *at++ = length, memcpy(at, label, length), at += length, label += length + (label[length] == '.');
    }
    *at++ = 0, *at++ = type >> 8, *at++ = type, *at++ = 0, *at++ = 1;
    size_t length = at - query - 2;
    query[0] = length >> 8, query[1] = length;
    int socket_ = TRY(socket(to.ss_family, kind, 0));
    struct timeval patience = {2, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    TRY(connect(socket_, (void *)&to, size));
    int stream = kind == SOCK_STREAM;
    TRY(send(socket_, query + (stream ? 0 : 2), length + (stream ? 2 : 0), 0));
    ssize_t got = TRY(recv(socket_, answer, room, 0));
    return stream ? (memmove(answer, answer + 2, got - 2), got - 2) : got;
}

/* Anything but a name's address that came back could carry data; for names that are not granted, the address as well. */
static void ask_name(char **a) {
    char server[64], name[512];
    unsigned char answer[2048] = {0};
    if (!resolver(server)) fail("there is no resolver of ours");
    snprintf(name, sizeof name, "%s", a[0]);
    ssize_t got = ask(server, name, atoi(a[1]), atoi(a[2]) ? SOCK_STREAM : SOCK_DGRAM, answer, sizeof answer);
    if (got > 12 && (answer[6] || answer[7])) printf("answered %s\n", mark);
    else printf("no answer, code %d\n", answer[3] & 15);
}

/* Sends text to a port of `localhost`, as it was granted by name. In the text, ~ ends a line. */
static void say_to_name(char **a) {
    char server[64], address[64] = "127.0.0.1", text[4096];
    unsigned char answer[512];
    if (resolver(server)) {
        ssize_t got = ask(server, "localhost", 1, SOCK_DGRAM, answer, sizeof answer);
        if (got > 16) inet_ntop(AF_INET, answer + got - 4, address, sizeof address);
    }
    struct sockaddr_storage to;
    socklen_t size = inet_to(address, a[0], &to);
    char *out = text;
    for (const char *in = a[1]; *in && out < text + sizeof text - 2; in++)
        if (*in == '~') *out++ = '\r', *out++ = '\n';
        else *out++ = *in;
    int socket_ = TRY(socket(to.ss_family, SOCK_STREAM, 0));
    TRY(connect(socket_, (void *)&to, size));
    TRY(send(socket_, text, out - text, 0));
    usleep(300000);
}

/* A TLS greeting for the given name, with MARK as its session. */
static void greet_name(char **a) {
    unsigned char hello[512] = {22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3}, *at = hello + 11 + 32;
    size_t name = strlen(a[1]), session = strlen(mark) < 32 ? strlen(mark) : 32;
    *at++ = session, memcpy(at, mark, session), at += session;
    memcpy(at, "\0\2\x13\1\1\0", 6), at += 6;
    unsigned char *extensions = at;
    at += 2;
    if (name) {
        *at++ = 0, *at++ = 0, *at++ = 0, *at++ = name + 5, *at++ = 0, *at++ = name + 3, *at++ = 0, *at++ = 0;
        *at++ = name, memcpy(at, a[1], name), at += name;
    }
    extensions[0] = 0, extensions[1] = at - extensions - 2;
    hello[8] = at - hello - 9, hello[3] = (at - hello - 5) >> 8, hello[4] = at - hello - 5;
    char server[64], address[64] = "127.0.0.1";
    unsigned char answer[512];
    if (resolver(server)) {
        ssize_t got = ask(server, "localhost", 1, SOCK_DGRAM, answer, sizeof answer);
        if (got > 16) inet_ntop(AF_INET, answer + got - 4, address, sizeof address);
    }
    struct sockaddr_storage to;
    socklen_t size = inet_to(address, a[0], &to);
    int socket_ = TRY(socket(to.ss_family, SOCK_STREAM, 0));
    TRY(connect(socket_, (void *)&to, size));
    TRY(send(socket_, hello, at - hello, 0));
    usleep(300000);
}

/* Is listened to; the runner calls. */
static void serve(char **a) {
    struct sockaddr_storage at;
    socklen_t size = inet_to("127.0.0.1", a[0], &at);
    int socket_ = TRY(socket(AF_INET, SOCK_STREAM, 0)), one = 1;
    TRY(setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    TRY(bind(socket_, (void *)&at, size));
    TRY(listen(socket_, 1));
    hold();
}

static void serve_unix(char **a) {
    struct sockaddr_un at;
    socklen_t size = unix_to(a[0], &at);
    int socket_ = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(bind(socket_, (void *)&at, size));
    TRY(listen(socket_, 1));
    hold();
}

static void raw_udp(char **a) {
    struct {
        struct udphdr head;
        char text[64];
    } packet = {.head = {.uh_sport = htons(9), .uh_dport = htons(atoi(a[1]))}};
    size_t size = sizeof packet.head + snprintf(packet.text, sizeof packet.text, "%s", mark);
    packet.head.uh_ulen = htons(size);
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_pton(AF_INET, a[0], &to.sin_addr);
    int socket_ = TRY(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    TRY(sendto(socket_, &packet, size, 0, (void *)&to, sizeof to));
}

static uint16_t checksum(const void *from, size_t size) {
    const uint16_t *words = from;
    uint32_t sum = 0;
    for (size_t i = 0; i < size / 2; i++) sum += words[i];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Over IPv6, because the kernel takes no IPv4 loopback address from outside of its own routing. */
static void packet(char **a) {
    struct __attribute__((packed)) {
        struct ether_header ether;
        struct ip6_hdr ip;
        struct udphdr udp;
        char text[64];
    } frame = {.ether = {.ether_type = htons(ETHERTYPE_IPV6)}};
    struct __attribute__((packed)) {
        struct in6_addr from, to;
        uint32_t size, next;
        struct udphdr udp;
        char text[64];
    } sum = {.from = in6addr_loopback, .to = in6addr_loopback, .next = htonl(IPPROTO_UDP)};
    size_t size = 8 + snprintf(frame.text, sizeof frame.text, "%s", mark);
    struct udphdr udp = {.uh_sport = htons(9), .uh_dport = htons(atoi(a[0])), .uh_ulen = htons(size)};
    sum.size = htonl(size), sum.udp = udp;
    memcpy(sum.text, frame.text, sizeof sum.text);
    udp.uh_sum = checksum(&sum, 40 + size + (size & 1));
    frame.udp = udp;
    frame.ip.ip6_src = frame.ip.ip6_dst = in6addr_loopback;
    frame.ip.ip6_flow = htonl(6 << 28), frame.ip.ip6_plen = htons(size);
    frame.ip.ip6_nxt = IPPROTO_UDP, frame.ip.ip6_hlim = 64;
    int socket_ = TRY(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IPV6)));
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6, .sll_ifindex = if_nametoindex("lo")};
    to.sll_protocol = htons(ETH_P_IPV6);
    TRY(sendto(socket_, &frame, 54 + size, 0, (void *)&to, sizeof to));
}

/* `local KIND NAME`: a socket of this machine, by path, or by `=name` in the abstract space. */
static void local(char **a) {
    struct sockaddr_un to;
    socklen_t size = unix_to(a[1], &to);
    int kind = atoi(a[0]), socket_ = TRY(socket(AF_UNIX, kind, 0));
    if (kind == SOCK_DGRAM) {
        TRY(sendto(socket_, mark, strlen(mark), 0, (void *)&to, size));
    } else {
        TRY(connect(socket_, (void *)&to, size));
        TRY(send(socket_, mark, strlen(mark), 0));
    }
}

/* Half of a pair is a socket like any other: it can be sent elsewhere. */
static void local_from_pair(char **a) {
    struct sockaddr_un to;
    socklen_t size = unix_to(a[1], &to);
    int pair[2];
    TRY(socketpair(AF_UNIX, atoi(a[0]), 0, pair));
    struct iovec part = {mark, strlen(mark)};
    struct msghdr message = {.msg_name = &to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
    TRY(sendmsg(pair[0], &message, 0));
}

static void pair_connects(char **a) {
    struct sockaddr_un to;
    socklen_t size = unix_to(a[1], &to);
    int pair[2];
    TRY(socketpair(AF_UNIX, atoi(a[0]), 0, pair));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    connect(pair[0], &none, sizeof none);
    TRY(connect(pair[0], (void *)&to, size));
    TRY(send(pair[0], mark, strlen(mark), 0));
}

static void by_stdin(char **a) {
    struct sockaddr_un to;
    socklen_t size = unix_to(a[0], &to);
    TRY(sendto(0, mark, strlen(mark), 0, (void *)&to, size));
}

static void netlink(char **a) {
    struct {
        struct nlmsghdr head;
        char text[64];
    } message = {.head = {.nlmsg_type = NLMSG_MIN_TYPE}};
    message.head.nlmsg_len = sizeof message.head + snprintf(message.text, sizeof message.text, "%s", mark);
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = strtoul(a[0], NULL, 10)};
    int socket_ = TRY(socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK));
    TRY(sendto(socket_, &message, message.head.nlmsg_len, 0, (void *)&to, sizeof to));
}

/* Names of all Unix sockets of the network namespace, the abstract ones too. */
static void socket_diagnostics(char **a) {
    (void)a;
    struct {
        struct nlmsghdr head;
        struct unix_diag_req ask;
    } request = {{sizeof request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
                 {.sdiag_family = AF_UNIX, .udiag_states = -1, .udiag_show = UDIAG_SHOW_NAME}};
    int socket_ = TRY(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG));
    TRY(send(socket_, &request, sizeof request, 0));
    for (;;) {
        char text[32768];
        ssize_t got = TRY(recv(socket_, text, sizeof text, 0));
        if (((struct nlmsghdr *)text)->nlmsg_type == NLMSG_DONE) break;
        for (ssize_t i = 0; i < got; i++)
            if (text[i] < ' ' || text[i] > '~') text[i] = '\n';
        fwrite(text, 1, got, stdout);
    }
}

/* Another address for `lo`, as root of the network may add. */
static void route(char **a) {
    struct __attribute__((packed)) {
        struct nlmsghdr head;
        unsigned char family, prefix, flags, scope;
        uint32_t index;
        uint16_t size, type;
        uint32_t address;
    } request = {{sizeof request, 20, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0}, AF_INET, 32, 0, 0, 1, 8, 2, 0};
    inet_pton(AF_INET, a[0], &request.address);
    int socket_ = TRY(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    TRY(send(socket_, &request, sizeof request, 0));
    char text[1024];
    TRY(recv(socket_, text, sizeof text, 0));
    int32_t error;
    memcpy(&error, text + sizeof(struct nlmsghdr), sizeof error);
    errno = -error;
    if (error) fail("RTM_NEWADDR");
    hold();
    request.head.nlmsg_type = 21; /* RTM_DELADDR */
    request.head.nlmsg_flags = NLM_F_REQUEST;
    TRY(send(socket_, &request, sizeof request, 0));
}

/* Merely gets a socket of a family, with whatever type it has; the runner sees it. */
static void family(char **a) {
    static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM};
    int got = -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && got < 0; i++) got = socket(atoi(a[0]), kinds[i], 0);
    TRY(got);
    hold();
}

static void other_families(char **a) {
    (void)a;
    int got = 0;
    for (int one = 3; one < 64; one++)
        for (int kind = 1; kind < 6; kind++)
            for (int protocol = 0; protocol < 8; protocol++)
                if (one != AF_INET6 && one != AF_NETLINK && one != AF_PACKET && one != AF_VSOCK && one != 44)
                    got += socket(one, kind, protocol) >= 0;
    errno = EPERM;
    if (!got) fail("every other family");
    hold();
}

static void vsock(char **a) {
    struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = atoi(a[0]), .svm_port = 9999};
    int socket_ = TRY(socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (connect(socket_, (void *)&to, sizeof to)) {
    }
    hold();
}

const struct attack network[] = {{"stream", stream},
                                 {"fast-open", fast_open},
                                 {"datagram", datagram},
                                 {"broadcast", broadcast},
                                 {"resolve", resolve},
                                 {"serve", serve},
                                 {"ask-name", ask_name},
                                 {"say-to-name", say_to_name},
                                 {"greet-name", greet_name},
                                 {"serve-unix", serve_unix},
                                 {"raw-udp", raw_udp},
                                 {"packet", packet},
                                 {"local", local},
                                 {"local-from-pair", local_from_pair},
                                 {"pair-connects", pair_connects},
                                 {"by-stdin", by_stdin},
                                 {"netlink", netlink},
                                 {"socket-diagnostics", socket_diagnostics},
                                 {"route", route},
                                 {"family", family},
                                 {"other-families", other_families},
                                 {"vsock", vsock},
                                 {NULL, NULL}};
