/* lookup NAME...: the addresses that this C library finds for each, one a line; of an address, the name. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int print_name(const struct sockaddr_in *address) {
  char host[NI_MAXHOST];
  int failure = getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host, NULL, 0, NI_NAMEREQD);
  puts(failure == 0 ? host : gai_strerror(failure));
  return failure;
}

static int print_addresses(const char *name) {
  struct addrinfo hints, *list = NULL, *each;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  int failure = getaddrinfo(name, NULL, &hints, &list);
  if (failure != 0) puts(gai_strerror(failure));
  for (each = list; each != NULL; each = each->ai_next) {
    char text[NI_MAXHOST];
    getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    puts(text);
  }
  return failure;
}

int main(int argc, char **argv) {
  int failures = 0;
  for (int i = 1; i < argc; i++) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    int is_address = inet_pton(AF_INET, argv[i], &address.sin_addr) == 1;
    failures += (is_address ? print_name(&address) : print_addresses(argv[i])) != 0;
  }
  return failures == 0 ? 0 : 1;
}
