"""Builds the daemon from settings: creates all parts and connects them."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from monitor.bundle import Bundle
from monitor.bundle.manifest import Manifest
from monitor.config.secrets import read_token
from monitor.config.settings import Settings
from monitor.groups.mutes import Mutes
from monitor.groups.state import GroupStates
from monitor.mqtt.sink import MqttSink
from monitor.mqtt.source import MqttSource
from monitor.operators.commands import OperatorCommands
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.operators.group_remover import GroupRemover
from monitor.operators.silent_group_finder import SilentGroupFinder
from monitor.publish.home_assistant import Discovery
from monitor.publish.own_messages import OwnMessages
from monitor.publish.publisher import Publisher, RepublishSignals
from monitor.service.committer import Committer
from monitor.service.connections import Connections
from monitor.service.daemon import Daemon, Health, RestoredCounts
from monitor.service.gateway import Gateway
from monitor.service.input_watch import InputWatch
from monitor.service.instrumentation import Instrumentation
from monitor.service.outbox_publisher import OutboxPublisher
from monitor.service.pipeline import Pipeline
from monitor.service.pipeline_thread import PipelineThread
from monitor.service.ports import Sink, Source
from monitor.service.process_control import ProcessControl
from monitor.service.reload import Reloader, RunningConfig
from monitor.service.request_handler import RequestHandler
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment
from monitor.service.settings_to_audit import build_audit
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_features import load_bundle
from monitor.service.settings_to_stages import build_timed_scoring, choose_stale_after
from monitor.service.systemd import Systemd
from monitor.service.web_builder import build_certificate, build_live_groups, build_server
from monitor.storage.restore import restore
from monitor.storage.store import Store
from monitor.telemetry.logs import PipelineLog
from monitor.telemetry.metrics import Metrics

__all__ = ["Base", "build_daemon", "connect_mqtt"]


@dataclass(frozen=True, slots=True)
class Base:
    """The parts that are built first, and that most other parts need."""

    running: RunningConfig
    metrics: Metrics
    store: Store
    groups: GroupStates
    """The state of all groups, restored from the store."""
    signals: RepublishSignals
    process: ProcessControl
    restored_at: float
    """When the restored groups count as last seen, monotonic seconds."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.running.settings

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self.running.manifest


Connect = Callable[[Base], tuple[Source, Sink]]
"""Builds a source and a sink, without touching the network."""


def connect_mqtt(base: Base) -> tuple[Source, Sink]:
    """Build the MQTT sessions.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """
    source = MqttSource(
        settings=base.settings,
        manifest=base.manifest,
        previous_filters=base.store.load_filters(),
        metrics=base.metrics,
        signals=base.signals,
        request_exit=base.process.request_exit,
    )
    sink = MqttSink(settings=base.settings, source=source)
    base.store.add_filters(source.subscriptions)
    return source, sink


def build_daemon(
    settings: Settings,
    read_settings: Callable[[], Settings] | None = None,
    connect: Connect = connect_mqtt,
    dropped_log_lines: Callable[[], int] = lambda: 0,
) -> Daemon:
    """Build all parts of `sensor-monitor run`, without connecting to the broker.

    Parameters
    ----------
    settings : the settings to start with.
    read_settings : called on a reload, returns the current settings; None: a reload uses `settings`.
    connect : builds source and sink.
    dropped_log_lines : returns how many lines of the log were dropped so far.

    Raises
    ------
    InvalidInputError : settings, bundle or store can't be used.
    OperationError : the store can't be opened at the moment, or the port is in use.
    """
    systemd = Systemd()
    settings, loaded = adapt_bundle(settings, load_bundle(settings))
    base = _build_base(settings, loaded, ProcessControl(systemd))
    with ExitStack() as cleanup:
        cleanup.callback(base.store.close)
        source, sink = connect(base)
        base.metrics.watch_queue(source.__len__)
        base.metrics.watch_log(dropped_log_lines)
        connections = Connections(source=source, sink=sink)
        commands = _build_commands(base, connections.wake)
        live_groups = build_live_groups(base.manifest, base.groups, commands.mutes)
        gateway = _build_gateway(base, commands.mutes, source, sink)
        input_watch = InputWatch(
            steps=base.manifest.steps,
            get_max_gap=base.running.max_gap,
            features=base.manifest.feature_names,
            get_feature_ages=lambda: base.groups.feature_ages(time.time()),
        )
        instrumentation = Instrumentation(
            metrics=base.metrics,
            event_log=PipelineLog(),
            features=base.manifest.feature_names,
            feed_watchdog=systemd.feed_watchdog,
            observer=live_groups,
            input_watch=input_watch,
        )
        pipeline = Pipeline(
            ports=gateway,
            decode=build_decoder(settings, base.manifest.feature_names, base.store.load_births()),
            groups=base.groups,
            commands=commands,
            publisher=_build_publisher(base, commands.mutes),
            instrumentation=instrumentation,
            max_groups=settings.input.max_groups,
        )
        reloader = Reloader(
            read_settings=read_settings or (lambda: settings),
            running=base.running,
            pipeline=pipeline,
            connections=connections,
            metrics=base.metrics,
            process=base.process,
        )
        audit = build_audit(settings.operators, base.metrics.operators)
        requests = RequestHandler(
            submit=commands.submit, wake=connections.wake, reload=reloader.reload, audit=audit
        )
        pipeline_thread = PipelineThread(pipeline=pipeline, gateway=gateway)
        health = Health(pipeline_thread=pipeline_thread, connections=connections)
        daemon = Daemon(
            process=base.process,
            pipeline_thread=pipeline_thread,
            connections=connections,
            requests=requests,
            server=build_server(
                running=base.running,
                metrics=base.metrics,
                groups=base.groups,
                live_groups=live_groups,
                health=health,
                input_watch=input_watch,
            ),
            registry=base.metrics.registry,
            settings=settings,
            manifest=base.manifest,
            restored=RestoredCounts(len(base.groups), base.groups.firing_count, gateway.unconfirmed_count),
        )
        cleanup.pop_all()  # from here on the daemon closes the store
    return daemon


def _build_base(settings: Settings, loaded: Bundle, process: ProcessControl) -> Base:
    """Open the store and restore the groups from it."""
    manifest, now = loaded.manifest, time.monotonic()
    metrics = Metrics(CollectorRegistry(), manifest)
    groups = GroupStates(
        build_timed_scoring(loaded, settings, metrics),
        choose_stale_after(settings.windows, manifest.sample_period),
        build_alignment(settings, manifest.feature_names, manifest.sample_period),
    )
    metrics.watch_drift(lambda: groups.drift)
    metrics.watch_shows_from(manifest.feature_names, groups.shows_from_by_row)
    if groups.aligns_values:
        metrics.watch_feature_ages(
            manifest.feature_names, groups.feature_max_ages, lambda: groups.feature_ages(time.time())
        )
    store = restore(
        settings.store,
        groups,
        manifest.feature_names,
        manifest.steps,
        is_own_message=OwnMessages(settings.homeassistant.discovery_prefix).include,
        max_groups=settings.input.max_groups,
        now=now,
        count_discarded=lambda kind, count: metrics.store_discarded.labels(kind).inc(count),
    )
    groups.fetch_states, groups.fetch_ended_incident = store.fetch_groups, store.fetch_incident
    groups.register_expected(settings.input.groups, now, time.time())
    return Base(
        running=RunningConfig(
            settings, manifest, read_token(settings.http) or "", build_certificate(settings.http)
        ),
        metrics=metrics,
        store=store,
        groups=groups,
        signals=RepublishSignals(),
        process=process,
        restored_at=now,
    )


def _build_commands(base: Base, wake: Callable[[], None]) -> OperatorCommands:
    manifest = base.manifest
    path, mutes = (
        base.settings.alerts.false_alarms,
        base.store.load_mutes(
            wall=time.time(), now=time.monotonic(), longest=base.settings.operators.longest_mute
        ),
    )
    finder = SilentGroupFinder(
        forget_after=base.settings.input.forget_after,
        groups=base.groups,
        saved_times=base.store.saved_times,
        started_at=base.restored_at,
    )
    remover = GroupRemover(
        groups=base.groups,
        mutes=mutes,
        expected_groups=base.settings.input.groups,
        stored_names=base.store.group_names,
        find_expired=finder.find,
    )
    commands = OperatorCommands(
        groups=base.groups,
        mutes=mutes,
        remover=remover,
        false_alarms=FalseAlarmFile(path, manifest.feature_names),
        wake=wake,
    )
    base.metrics.operators.watch_mutes(lambda: commands.muted_group_count)
    return commands


def _build_gateway(base: Base, mutes: Mutes, source: Source, sink: Sink) -> Gateway:
    outbox = base.store.load_outbox()
    committer = Committer(
        store=base.store,
        outbox=outbox,
        groups=base.groups,
        mutes=mutes,
        metrics=base.metrics,
        max_groups=base.settings.input.max_groups,
        each_batch=source.needs_acks,
    )
    publisher = OutboxPublisher(
        outbox=outbox, sink=sink, delivery_seconds=base.metrics.alert_delivery_seconds
    )
    return Gateway(source=source, committer=committer, publisher=publisher)


def _build_publisher(base: Base, mutes: Mutes) -> Publisher:
    home_assistant = base.settings.homeassistant
    discovery = Discovery(home_assistant.discovery_prefix, base.settings.mqtt.base_topic)
    return Publisher(
        groups=base.groups,
        mutes=mutes,
        manifest=base.manifest,
        discovery=discovery if home_assistant.discovery else None,
        signals=base.signals,
        now=time.monotonic(),
    )
