"""`sensor-monitor discover`: list what a broker carries, and propose settings for it."""

import argparse
import sys

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, non_negative_float, settings_from_flags
from monitor.cli.signals import stop_event

SUMMARY = "List what a broker carries, and propose settings that run takes."
DETAILS = (
    "Listens to all topics as a client of its own and publishes nothing. Prints, as\n"
    "comments, what came: topics, formats, fields, how often, smallest steps, what is\n"
    "retained; then sources and alignment for all groups that it finds, with a comment\n"
    "wherever you must decide. All of it is a settings file, once written into one.\n"
    "Exit code 1 says that nothing came."
)
EXAMPLES = (
    "sensor-monitor discover --config config/monitor.toml",
    "MONITOR_MQTT__HOST=broker sensor-monitor discover --seconds 600",
    "sensor-monitor discover --filter 'zigbee2mqtt/#' --filter '$aws/things/#'",
)
_DEFAULT_SECONDS = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)
    parser.add_argument(
        "--seconds",
        type=non_negative_float,
        default=_DEFAULT_SECONDS,
        metavar="N",
        help="how long to listen (default: 60); slow devices need several of their intervals",
    )
    parser.add_argument(
        "--filter",
        action="append",
        metavar="F",
        help="listen to these topics only, and to those that begin with $ (default: #); may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Listen, then print report and proposal."""
    import secrets

    from monitor.cli.broker_client import build_session
    from monitor.cli.discover.broker_settings import write_broker
    from monitor.cli.discover.comments import to_comment
    from monitor.cli.discover.features import known_words
    from monitor.cli.discover.listener import DiscoverListener
    from monitor.cli.discover.payloads import PayloadReader
    from monitor.cli.discover.proposal import propose
    from monitor.cli.discover.report import describe_survey
    from monitor.cli.discover.survey import Survey
    from monitor.cli.discover.words import Words
    from monitor.cli.output import print_text
    from monitor.cli.progress_line import ProgressLine
    from monitor.config.loading import load_settings
    from monitor.core.errors import OperationError
    from monitor.core.quantities import quantity_name
    from monitor.core.topics import OwnTopics, check_filter
    from monitor.service.settings_to_features import load_bundle
    from monitor.telemetry.logs import configure_logging

    for topic_filter in arguments.filter or ():
        check_filter(topic_filter)
    settings = load_settings(arguments.config, settings_from_flags(arguments))
    configure_logging(settings.log.level, settings.log.format)
    manifest = load_bundle(settings).manifest
    words = Words(map(quantity_name, manifest.feature_names))
    # Home Assistant's discovery topics hold no values, whoever publishes them.
    own_topics = OwnTopics(settings.mqtt.base_topic, settings.homeassistant.discovery_prefix)
    survey = Survey(PayloadReader(known_words(manifest.quantities)), own_topics)
    stop = stop_event()
    progress = ProgressLine(sys.stderr)
    listener = DiscoverListener(survey, on_progress=progress.show)
    # QoS 0: a broker that sends faster than this reads must not queue for it.
    quiet = settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update={"qos": 0})})
    session = build_session(
        quiet, f"sensor-discover-{secrets.token_hex(4)}", listener, filters=tuple(arguments.filter or ["#"])
    )
    try:
        listener.run(session, stop, arguments.seconds)
    finally:
        progress.close()
    if not survey.topics:
        raise OperationError(f"discover: nothing came within {survey.seconds:.0f} s")
    report = describe_survey(survey)
    if listener.overflow_count:
        report += f"\ndropped because they came too fast: {listener.overflow_count:,} messages"
    print_text("\n".join(line for text in report.splitlines() for line in to_comment(text)))
    print_text(f"\n{write_broker(settings)}{propose(survey, words, manifest)}", end="")
    return exit_codes.INTERRUPTED if stop.is_set() and not survey.seconds else exit_codes.SUCCESS
