"""`sensor-training tune`: searches for better settings, or compares weight initialisers."""

import argparse
import hashlib
from pathlib import Path

from monitor.core.errors import InvalidInputError
from training.cli import flags
from training.config.loading import load_settings
from training.data import output_folder

__all__ = ["configure", "run"]

_DEFAULT_TRIALS = 20
_DEFAULT_SEEDS = 3


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: training data, the study, and every setting."""
    flags.add_training_data(command)
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the trials, table, pictures and best.toml; trials that it holds are continued",
    )
    command.add_argument(
        "--study",
        choices=["search", "initializers"],
        default="search",
        help="search: units, dropouts and learning rate; initializers: a table of all eight, and of the "
        "notebook's, which differ by layer (default: %(default)s)",
    )
    command.add_argument(
        "--trials",
        type=flags.parse_count,
        metavar="N",
        help="of a search: first the notebook's three combinations, then what the search proposes "
        f"(default: {_DEFAULT_TRIALS})",
    )
    command.add_argument(
        "--seeds",
        type=flags.parse_count,
        metavar="N",
        help=f"of each initializer (default: {_DEFAULT_SEEDS})",
    )
    command.add_argument(
        "--initializer",
        type=_parse_kernel_initializer,
        action="append",
        default=[],
        metavar="V",
        help="with --study initializers: a further one, as --kernel-initializer takes it, such as "
        "'random_normal(0.0, 0.1)'; may be repeated",
    )
    flags.add_settings(command)


def run(arguments: argparse.Namespace) -> str:
    """Run the unfinished trials; return the table of results as text.

    Raises
    ------
    InvalidInputError : flags contradict each other, the data are invalid or insufficient, or the folder holds
        another study.
    """
    if arguments.trials is not None and arguments.study != "search":
        raise InvalidInputError("--trials belongs to --study search; expected --seeds, or neither")
    if arguments.seeds is not None and arguments.study != "initializers":
        raise InvalidInputError("--seeds belongs to --study initializers; expected --trials, or neither")
    if arguments.initializer and arguments.study != "initializers":
        raise InvalidInputError("--initializer belongs to --study initializers")
    searched = {"search": ("units", "dropout"), "initializers": ("kernel_initializer",)}
    settings = flags.read_settings(arguments, searched[arguments.study])
    from training.console.terminal import make_console  # noqa: PLC0415
    from training.data.prepare import prepare  # noqa: PLC0415
    from training.tune import studies, trials  # noqa: PLC0415
    from training.tune.objective import prepare_for_search  # noqa: PLC0415

    prepared = prepare_for_search(prepare(arguments.recording, arguments.windows, settings))
    output_folder.create(arguments.out)
    files = [*arguments.recording, *([arguments.windows] if arguments.windows else [])]
    user_attrs = {
        "data": [_hash_file(path) for path in files],
        "settings": settings.model_dump(mode="json"),
        **({"further initializers": arguments.initializer} if arguments.study == "initializers" else {}),
    }
    with trials.open_study(arguments.out, arguments.study, user_attrs) as study:
        is_search = arguments.study == "search"
        study_run = studies.StudyRun(
            study=study,
            plan=trials.build_search_plan(settings, arguments.trials or _DEFAULT_TRIALS)
            if is_search
            else trials.build_initializer_plan(
                settings, arguments.seeds or _DEFAULT_SEEDS, arguments.initializer
            ),
            prepared=prepared,
            settings=settings,
            out=arguments.out,
            console=make_console(),
        )
        return studies.run_search(study_run) if is_search else studies.compare_initializers(study_run)


def _parse_kernel_initializer(text: str) -> str:
    try:
        chosen = load_settings(None, {"kernel_initializer": text}).kernel_initializer
    except InvalidInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return chosen if isinstance(chosen, str) else ",".join(chosen)


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
