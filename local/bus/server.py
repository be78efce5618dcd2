"""AMQP 1.0 in front of the broker: links, credit and settlement, in proton's one thread.

proton writes to a socket only after it has found nothing more to dispatch (REACTOR_QUIESCED).
The broker commits right there, so no accept and no reply leaves before what it confirms is
durable, and a burst of frames costs one commit.
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
from local.bus.broker import Broker, Entity, Queue
from local.bus.store import Store, Stored

SWEEP_SECONDS = 0.05
CREDIT = 1_000
BATCH_BYTES_MAX = 256 * 1024
LOCK_LOST = "com.microsoft:message-lock-lost"
DEAD_LETTER_NAMES = ("DeadLetterReason", "DeadLetterErrorDescription")

logger = logging.getLogger("local.bus")


def now_ms() -> int:
    """Milliseconds since 1970, as AMQP writes time."""
    return time.time_ns() // 1_000_000


class Ingress:
    """A client's sender: what comes in goes to the entity."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity

    def received(self, delivery: Delivery, data: bytes) -> None:
        """Accepts a transfer, or rejects it with the reason; the link stays usable."""
        limit = self._entity.message_bytes_max
        try:
            if len(data) > limit:
                text = f"{len(data)} bytes, at most {limit} are allowed"
                _reject(delivery, "amqp:link:message-size-exceeded", text)
            else:
                self._entity.accept(codec.parse_transfer(data), now_ms())
                delivery.update(Delivery.ACCEPTED)
        except codec.MalformedMessage as error:
            _reject(delivery, "amqp:decode-error", str(error))


class Requests:
    """A client's sender of requests: the reply goes to the session's link from the same address."""

    def __init__(self, link: Link, address: str, entity: Entity | None) -> None:
        self._session, self._address, self._entity = link.session, address, entity

    def received(self, delivery: Delivery, data: bytes) -> None:
        """Answers one request."""
        delivery.update(Delivery.ACCEPTED)
        request = Message()
        request.decode(data)
        reply = management.answer(self._entity, request, now_ms())
        self._session.reply_links[self._address].send(reply)


class Egress:
    """A client's receiver: gets messages from the queue and settles them."""

    def __init__(self, link: Link, queue: Queue) -> None:
        self._link, self._queue = link, queue
        self.locks = link.remote_snd_settle_mode != Link.SND_SETTLED

    def wants(self) -> bool:
        """Whether the link is open on both sides and has credit."""
        active = Endpoint.LOCAL_ACTIVE | Endpoint.REMOTE_ACTIVE
        return self._link.state == active and self._link.credit > 0

    def nothing_left(self) -> None:
        """Gives unused credit back if the client drains the link."""
        if self._link.state & Endpoint.REMOTE_ACTIVE and self._link.drain_mode:
            self._link.drained()

    def deliver(self, message: Stored) -> None:
        """Sends a message; its lock token is the delivery tag."""
        tag = message.token.bytes_le if message.token else message.sequence_number.to_bytes(16)
        delivery = self._link.delivery(tag)
        delivery.lock_token = message.token
        self._link.stream(management.encoded(message))
        self._link.advance()
        if not self.locks:
            delivery.settle()

    def settled(self, delivery: Delivery) -> None:
        """Does what the client's disposition says and answers it, so that the SDK goes on."""
        state, token = delivery.remote_state, delivery.lock_token
        if state and token is not None:
            if self._apply(delivery, token):
                if state == Delivery.MODIFIED:
                    delivery.local.failed = delivery.remote.failed
                    delivery.local.undeliverable = delivery.remote.undeliverable
                delivery.update(state)
            else:
                _reject(delivery, LOCK_LOST, "the lock has ended or was never there")
        if state or delivery.settled:
            delivery.settle()

    def _apply(self, delivery: Delivery, token: UUID) -> bool:
        queue, state, now = self._queue, delivery.remote_state, now_ms()
        if state == Delivery.ACCEPTED:
            return queue.complete(token, now)
        if state == Delivery.REJECTED:
            info = getattr(delivery.remote.condition, "info", None) or {}
            return queue.dead_letter(
                token, now, {n: str(info[n]) for n in DEAD_LETTER_NAMES if info.get(n)}
            )
        if state == Delivery.MODIFIED and delivery.remote.undeliverable:
            return queue.defer(token, now)
        return queue.abandon(token, now, counted=state == Delivery.MODIFIED)

    def stop(self) -> None:
        """Takes no more messages. Those that are locked stay so until their locks end."""
        if self in self._queue.consumers:
            self._queue.consumers.remove(self)


class BusHandler:
    """Answers everything that clients do."""

    def __init__(self, port: int, folder: Path, config: dict[str, Any]) -> None:
        self._port = port
        self._store = Store(folder)
        self._broker = Broker(self._store, config)
        self._acceptor: Any = None
        self.stopping = False

    def close(self) -> None:
        """Closes the store, once the container has ended."""
        self._store.close()

    def on_reactor_init(self, event: Any) -> None:
        """Listens, and says so on standard output."""
        self._acceptor = event.container.listen(f"127.0.0.1:{self._port}")
        event.container.schedule(SWEEP_SECONDS, self)
        print(f"bus ready on 127.0.0.1:{self._port}", flush=True)

    def on_timer_task(self, event: Any) -> None:
        """Ends what has run out, and the bus itself when it was told to stop."""
        if self.stopping:
            self._acceptor.close()
            event.container.stop()
            return
        event.container.schedule(SWEEP_SECONDS, self)
        self._broker.sweep(now_ms())

    def on_reactor_quiesced(self, _event: Any) -> None:
        """Delivers and commits. Memory would be ahead of the disk after an error: start again."""
        try:
            self._broker.settle(now_ms())
        except Exception:
            logger.exception("the bus can't write its store")
            os._exit(1)

    def on_connection_remote_open(self, event: Any) -> None:
        """Opens the connection from our side."""
        event.connection.container = "perminute-local-bus"
        event.connection.open()

    def on_session_remote_open(self, event: Any) -> None:
        """Opens the session from our side."""
        event.session.reply_links = {}
        event.session.open()

    def on_link_remote_open(self, event: Any) -> None:
        """Attaches a link to its entity, or refuses it with amqp:not-found."""
        self._attach(event.link)

    def on_delivery(self, event: Any) -> None:
        """A transfer is complete, or a disposition has come."""
        self._on_delivery(event.delivery)

    def on_link_remote_close(self, event: Any) -> None:
        """Closes the link from our side."""
        _stop(event.link)
        event.link.close()

    on_link_remote_detach = on_link_remote_close

    def on_session_remote_close(self, event: Any) -> None:
        """Closes the session from our side."""
        event.session.close()

    def on_connection_remote_close(self, event: Any) -> None:
        """Closes the connection from our side."""
        self.on_transport_closed(event)
        event.connection.close()

    def on_transport_closed(self, event: Any) -> None:
        """The client is gone, with or without a word."""
        link = event.connection.link_head(0) if event.connection else None
        while link is not None:
            _stop(link)
            link = link.next(0)

    def _attach(self, link: Link) -> None:
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        end = link.remote_target if link.is_receiver else link.remote_source
        # With an IP address in its connection string the SDK names the whole URL, else the path.
        address = re.sub(r"^amqps?://[^/]*/", "", (end.address or "").lower())
        name = address.removesuffix("/$management")
        entity = self._broker.find(name)
        if entity is None and address != "$cbs":
            link.open()
            link.condition = Condition("amqp:not-found", f"there is no entity '{end.address}'")
            link.close()
        elif link.is_receiver:
            plain = entity is not None and name == address
            link.peer = Ingress(entity) if plain else Requests(link, address, entity)
            link.max_message_size = entity.message_bytes_max if entity else BATCH_BYTES_MAX
            link.properties = {
                symbol("com.microsoft:max-message-batch-size"): int32(BATCH_BYTES_MAX)
            }
            link.open()
            link.flow(CREDIT)
        elif name != address or entity is None:
            link.session.reply_links[address] = link
            link.open()
        elif isinstance(entity, Queue):
            link.peer = Egress(link, entity)
            link.open()
            entity.consumers.append(link.peer)
        else:
            link.open()
            link.condition = Condition("amqp:not-allowed", "a topic is not received from")
            link.close()

    def _on_delivery(self, delivery: Delivery) -> None:
        link = delivery.link
        peer = getattr(link, "peer", None)
        if link.is_receiver:
            if delivery.aborted or peer is None:
                link.advance()
                delivery.settle()
            elif delivery.readable and not delivery.partial:
                data = link.recv(delivery.pending)
                link.advance()
                link.flow(1)
                peer.received(delivery, bytes(data or b""))
                delivery.settle()
        elif delivery.updated and isinstance(peer, Egress):
            peer.settled(delivery)
        elif delivery.updated:
            delivery.settle()


def _stop(link: Link) -> None:
    peer = getattr(link, "peer", None)
    if isinstance(peer, Egress):
        peer.stop()


def _reject(delivery: Delivery, condition: str, text: str) -> None:
    """The SDK waits for ever if the error has no info map."""
    delivery.local.condition = Condition(condition, text, {symbol("detail"): text})
    delivery.update(Delivery.REJECTED)
