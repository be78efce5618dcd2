"""AMQP 1.0 in front of the broker: links, credit and settlement, in proton's one thread.

proton writes to a socket only after it has found nothing more to dispatch (REACTOR_QUIESCED). The
broker commits right there, so no accept and no reply is sent before its commit is durable, and a
burst of frames costs one commit.
"""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from proton import Condition, Delivery, Endpoint, Link, Message, int32, symbol

from local.bus import codec, management
from local.bus.atom import ManagementSide
from local.bus.broker import Broker, MessageSource, Target

TICK_SECONDS = 0.05
CREDIT = 1_000
BATCH_BYTES_MAX = 256 * 1024
DEAD_LETTER_NAMES = ("DeadLetterReason", "DeadLetterErrorDescription")

logger = logging.getLogger("local.bus")


def now_ms() -> int:
    """Milliseconds since 1970, as AMQP writes time."""
    return time.time_ns() // 1_000_000


class Ingress:
    """A client's sender to a queue or topic."""

    def __init__(self, broker: Broker, target: Target) -> None:
        self._broker, self._target = broker, target

    def received(self, delivery: Any, data: bytes) -> None:
        """Accepts a transfer, or rejects it with the reason; the link stays usable."""
        limit = self._target.message_bytes_max
        if len(data) > limit:
            text = f"{len(data)} bytes, at most {limit} are allowed"
            _reject(delivery, "amqp:link:message-size-exceeded", text)
            return
        try:
            envelopes = codec.parse_transfer(data)
        except codec.MalformedMessageError as error:
            _reject(delivery, "amqp:decode-error", str(error))
        else:
            self._broker.accept(self._target, envelopes, now_ms())
            delivery.update(Delivery.ACCEPTED)


class Requests:
    """A client's sender of requests: the reply goes to the session's link from the same address."""

    def __init__(self, broker: Broker, name: str, reply_links: dict[str, Any]) -> None:
        self._broker, self._name, self._reply_links = broker, name, reply_links

    def received(self, delivery: Any, data: bytes) -> None:
        """Answers one request."""
        delivery.update(Delivery.ACCEPTED)
        request = Message()
        request.decode(data)
        reply = management.answer(self._broker, self._name, request, now_ms())
        self._reply_links[self._name].send(reply)


class Egress:
    """A client's receiver: gets messages and settles them. Locks outlive it."""

    def __init__(self, broker: Broker, source: MessageSource, link: Any) -> None:
        self._broker, self._source, self.link = broker, source, link

    def pump(self) -> None:
        """Delivers the available messages within the credit, then answers a drain."""
        if self.link.state != Endpoint.LOCAL_ACTIVE | Endpoint.REMOTE_ACTIVE:
            return
        if self.link.credit > 0:
            for message in self._broker.take(self._source, self.link.credit, now_ms()):
                # The SDK reads the lock token from the delivery tag.
                self.link.delivery(message.token.bytes_le).lock_token = message.token
                self.link.stream(message.content)
                self.link.advance()
        if self.link.drain_mode:
            self.link.drained()

    def settled(self, delivery: Any) -> None:
        """Applies the client's disposition and answers it: the SDK waits for that."""
        state, token = delivery.remote_state, delivery.lock_token
        if state and token is not None:
            if state == Delivery.MODIFIED and delivery.remote.undeliverable:
                _reject(delivery, "amqp:not-implemented", "messages can't be deferred here")
            elif self._apply(delivery, token):
                delivery.local.failed = delivery.remote.failed
                delivery.update(state)
            else:
                _reject(delivery, "com.microsoft:message-lock-lost", "the lock has ended")
        if state or delivery.settled:
            delivery.settle()

    def _apply(self, delivery: Any, token: UUID) -> bool:
        state, now = delivery.remote_state, now_ms()
        if state == Delivery.ACCEPTED:
            return self._broker.complete(token, now)
        if state == Delivery.REJECTED:
            info = getattr(delivery.remote.condition, "info", None) or {}
            properties = {name: str(info[name]) for name in DEAD_LETTER_NAMES if info.get(name)}
            return self._broker.dead_letter(token, now, properties)
        return self._broker.abandon(token, now, counted=state == Delivery.MODIFIED)


class BusHandler:
    """Answers everything that clients do."""

    def __init__(
        self, port: int, folder: Path, config: dict[str, Any], management_port: int | None = None
    ) -> None:
        self._port = port
        self._management = ManagementSide(management_port) if management_port else None
        self._broker = Broker(folder, config)
        self._receivers: list[Egress] = []
        self._acceptor: Any = None
        self.stopping = False

    def close(self) -> None:
        """Closes the store, once the container has ended."""
        self._broker.close()

    def on_reactor_init(self, event: Any) -> None:
        """Listens, and reports that on standard output."""
        self._acceptor = event.container.listen(f"127.0.0.1:{self._port}")
        event.container.schedule(TICK_SECONDS, self)
        print(f"bus ready on 127.0.0.1:{self._port}", flush=True)

    def on_timer_task(self, event: Any) -> None:
        """Ends expired locks, and the bus itself when a stop was requested."""
        if self.stopping:
            self._acceptor.close()
            event.container.stop()
            return
        event.container.schedule(TICK_SECONDS, self)
        self._broker.end_locks(now_ms())
        self._broker.forget_seen(now_ms())
        if self._management is not None:
            self._management.answer(self._broker, now_ms())

    def on_reactor_quiesced(self, _event: Any) -> None:
        """Delivers and commits. A change that can't be committed must not be confirmed: the bus
        ends."""
        try:
            for receiver in self._receivers:
                receiver.pump()
            self._broker.commit()
        except Exception:
            logger.exception("the bus can't use its store")
            os._exit(1)

    def on_connection_remote_open(self, event: Any) -> None:
        """Opens it from this side, as for sessions."""
        event.connection.container = "perminute-local-bus"
        event.connection.open()

    def on_session_remote_open(self, event: Any) -> None:
        """Opens it from this side."""
        event.session.reply_links = {}
        event.session.open()

    def on_link_remote_open(self, event: Any) -> None:
        """Attaches a link to the target of its address, or refuses it with amqp:not-found."""
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        end = link.remote_target if link.is_receiver else link.remote_source
        # With an IP address in its connection string the SDK names the whole URL, else the path.
        address = re.sub(r"^amqps?://[^/]*/", "", (end.address or "").lower())
        attached = self._attach_sender if link.is_receiver else self._attach_receiver
        known = attached(link, address)
        link.open()
        if not known:
            link.condition = Condition("amqp:not-found", f"there is no entity '{end.address}'")
            link.close()
        elif link.is_receiver:
            link.flow(CREDIT)

    def on_link_remote_close(self, event: Any) -> None:
        """Closes it from this side, as for sessions and connections."""
        self._receivers = [one for one in self._receivers if one.link != event.link]
        event.link.close()

    on_link_remote_detach = on_link_remote_close

    def on_session_remote_close(self, event: Any) -> None:
        """Closes it from this side."""
        event.session.close()

    def on_connection_remote_close(self, event: Any) -> None:
        """Closes it from this side. Its links get no more, even if its socket stays open."""
        event.connection.close()
        self._forget_receivers(event.connection)

    def on_transport_closed(self, event: Any) -> None:
        """The client is gone, with or without a word."""
        self._forget_receivers(event.connection)

    def on_delivery(self, event: Any) -> None:
        """A transfer is complete, or a disposition has come."""
        delivery, link = event.delivery, event.link
        peer = getattr(link, "peer", None)
        if isinstance(peer, Egress):
            if delivery.updated:
                peer.settled(delivery)
        elif link.is_sender or delivery.aborted or peer is None:
            delivery.settle()
        elif delivery.readable and not delivery.partial:
            data = link.recv(delivery.pending)
            link.advance()
            link.flow(1)
            peer.received(delivery, bytes(data or b""))
            delivery.settle()

    def _forget_receivers(self, connection: Any) -> None:
        self._receivers = [one for one in self._receivers if one.link.connection != connection]

    def _attach_sender(self, link: Any, address: str) -> bool:
        name = address.removesuffix("/$management")
        target = self._broker.targets.get(address)
        if target is not None:
            link.peer = Ingress(self._broker, target)
            link.max_message_size = target.message_bytes_max
            batch_bytes_max = min(BATCH_BYTES_MAX, target.message_bytes_max)
            link.properties = {
                symbol("com.microsoft:max-message-batch-size"): int32(batch_bytes_max)
            }
        elif self._answers(address, name):
            link.peer = Requests(self._broker, name, link.session.reply_links)
        return getattr(link, "peer", None) is not None

    def _attach_receiver(self, link: Any, address: str) -> bool:
        name = address.removesuffix("/$management")
        source = self._broker.sources.get(address)
        if source is not None and link.remote_snd_settle_mode != Link.SND_SETTLED:
            link.peer = Egress(self._broker, source, link)
            self._receivers.append(link.peer)
        elif self._answers(address, name):
            link.session.reply_links[name] = link
        else:
            return False
        return True

    def _answers(self, address: str, name: str) -> bool:
        """True if requests can be sent there."""
        known = name in self._broker.targets or name in self._broker.sources
        return address == "$cbs" or (name != address and known)


def _reject(delivery: Any, condition: str, text: str) -> None:
    """Refuses. The SDK waits without end if the error has no info map."""
    delivery.local.condition = Condition(condition, text, {symbol("detail"): text})
    delivery.update(Delivery.REJECTED)
