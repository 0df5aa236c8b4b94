"""What each command of `sensor-training` does with its arguments."""

from argparse import Namespace
from collections.abc import Sequence

from training import lwsndr, recordings
from training.arguments import parser
from training.errors import InputError
from training.inject import inject
from training.settings import FitSettings
from training.simulate import Plant, simulate

__all__ = ["run"]


def run(argv: Sequence[str] | None) -> str:
    """Run the command that the arguments name, and return what it has to say.

    Raises
    ------
    InputError : something that was handed in can't be used.
    SystemExit : 2, the arguments are wrong.
    """
    arguments = parser().parse_args(argv)
    commands = {"import": _import, "simulate": _simulate, "inject": _inject, "fit": _fit}
    return commands[arguments.command](arguments)


def _import(arguments: Namespace) -> str:
    imported = lwsndr.join(arguments.mote_a, arguments.mote_b, arguments.group, arguments.start)
    recordings.write(imported.frame, arguments.out)
    return (
        f"{arguments.out}: {len(imported.frame)} readings of {imported.frame['group'].iloc[0]}; "
        f"left out {imported.left_out} whose number only one of the files has"
    )


def _simulate(arguments: Namespace) -> str:
    plant = Plant(arguments.groups, arguments.seed, arguments.start)
    frame = simulate(plant, arguments.from_hour, arguments.hours)
    recordings.write(frame, arguments.out)
    return f"{arguments.out}: {len(frame)} readings of {arguments.groups} groups"


def _inject(arguments: Namespace) -> str:
    frame = recordings.read(arguments.recording)
    try:
        labelled = inject(frame, arguments.rate, arguments.seed, arguments.kinds)
    except InputError as error:
        raise InputError(f"{arguments.recording}: {error}") from error
    recordings.write(labelled, arguments.out)
    share = (labelled["label"] == recordings.FAULTY).mean()
    counts = labelled["kind"].value_counts()
    kinds = ", ".join(f"{kind} {counts.get(kind, 0)}" for kind in arguments.kinds)
    return f"{arguments.out}: {len(labelled)} readings, {share:.1%} faulty ({kinds})"


def _fit(arguments: Namespace) -> str:
    from training.fit import fit  # noqa: PLC0415 - TensorFlow takes seconds, which no other command needs
    from training.progress import console  # noqa: PLC0415

    settings = FitSettings(
        test_share=arguments.test_share,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
    )
    manifest = fit(arguments.recording, arguments.bundle, settings, console())
    lines = [f"{arguments.bundle}: bundle {manifest.id}"]
    quality = manifest.quality
    if quality:
        shares = {name: _share(quality[name]) for name in ("f1", "precision", "recall", "false_share")}
        lines += ["test part: " + ", ".join(f"{name} {share}" for name, share in shares.items())]
        kinds = quality["recall_by_kind"].items()
        lines += ["recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds)]
    return "\n".join(lines)


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"
