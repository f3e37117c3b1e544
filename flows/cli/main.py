"""The `emi` command: one function a verb."""

from __future__ import annotations

import click

from flows.cli.analysis.ask import ask
from flows.cli.analysis.browse import browse
from flows.cli.analysis.export import export
from flows.cli.analysis.metadata import metadata
from flows.cli.analysis.report import report
from flows.cli.exits import PipedGroup, quick_end, run_to_exit
from flows.cli.learning.ablate import ablate
from flows.cli.learning.checkpoints import check_backbone, import_checkpoint
from flows.cli.learning.compare import compare
from flows.cli.learning.evaluate import evaluate
from flows.cli.learning.labels import labels
from flows.cli.learning.models import models
from flows.cli.learning.train import recipes, retrain, train
from flows.cli.verbs.bench import bench
from flows.cli.verbs.demo import demo
from flows.cli.verbs.embed import embed
from flows.cli.verbs.explain import explain
from flows.cli.verbs.forget import forget
from flows.cli.verbs.process import process
from flows.cli.verbs.query import query, status
from flows.cli.verbs.schema import schema
from flows.cli.verbs.score import score
from flows.cli.verbs.transcribe import transcribe
from flows.cli.verbs.up import deploy, up
from flows.cli.verbs.verify import compact, verify
from flows.display.text import write_any_letter
from flows.server.events import use_running_server
from flows.server.own_settings import use_own_settings


@click.group(
    cls=PipedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="emi-workflow", prog_name="emi")
@click.pass_context
def cli(context: click.Context) -> None:
    """Turn a corpus of videos into a table of emotion scores.

    Six scores of Emotional Mimicry Intensity, and arousal, dominance, valence, from the audio of
    each clip. Scores are a model's estimate of how expression is perceived, not of what is felt.
    """
    use_own_settings()
    if context.invoked_subcommand not in (up.name, deploy.name):
        use_running_server()


for _verb in (
    process,
    score,
    explain,
    transcribe,
    embed,
    query,
    ask,
    metadata,
    status,
    report,
    browse,
    verify,
    export,
    forget,
    compact,
    schema,
    demo,
    import_checkpoint,
    check_backbone,
    labels,
    train,
    evaluate,
    ablate,
    compare,
    retrain,
    models,
    recipes,
    up,
    deploy,
    bench,
):
    cli.add_command(_verb)


def main() -> None:
    """Run the command and turn what ends it into one line and an exit code."""
    write_any_letter()
    with quick_end():
        run_to_exit(cli)
