import Addresses
import DNS
import Proxy
import Transport

extension Failure.Cause {
  /// What this machine has run short of, and what is to be done.
  func shortageText(towards endpoint: Endpoint) -> String {
    switch self {
    case .system(let error): "\(error.shortage) towards \(endpoint): \(error.advice)"
    case .resolution(.shortage(let error)):
      "\(error.shortage) to ask a name server for \(endpoint.host): \(error.advice)"
    default: "\(self) towards \(endpoint)"
    }
  }
}

extension Errno {
  /// What to do about a shortage of this machine.
  var advice: String {
    switch self {
    case .addressNotAvailable, .wouldBlock:
      "widen net.ipv4.ip_local_port_range or set net.ipv4.tcp_tw_reuse=1 (sysctl), or open fewer connections"
    case .tooManyOpenFiles: "raise the limit of open files (LimitNOFILE= in systemd, ulimit -n in a shell)"
    case .tooManyOpenFilesInSystem: "raise fs.file-max (sysctl)"
    case .noSpace: "raise fs.epoll.max_user_watches (sysctl)"
    case .outOfMemory, .noBufferSpace:
      "free memory, or raise net.ipv4.tcp_mem (sysctl) or the limit of the service's cgroup"
    default: "look into the kernel's log (dmesg)"
    }
  }
}
