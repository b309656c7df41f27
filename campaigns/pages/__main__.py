"""`make check-pages`: every page below a folder, looked at by a browser. Ends with 1 if one has a finding."""

from pathlib import Path

import click

from campaigns.pages.browser import DEUTERANOPIA, LOOKS, findings, started


@click.command()
@click.option("--pages", default="runs", type=click.Path(exists=True, path_type=Path), help="A page, or a folder of them.")
@click.option("--shots", type=click.Path(path_type=Path), help="Folder for pictures of the pages; without it none are taken.")
def main(pages: Path, shots: Path | None) -> None:
    """Check pages: requests, size, width, contrast and texts, in wide and narrow windows, light and dark."""
    files = [pages] if pages.is_file() else sorted(pages.rglob("*.html"))
    if not files:
        raise click.ClickException(f"no page below {pages}. make reproduce-table3 makes some.")
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
    bad = 0
    with started() as browser:
        for file in files:
            looks: dict[str, list[str]] = {}
            for look in LOOKS:
                for said in findings(browser, file, look, shots):
                    looks.setdefault(said, []).append(look.name)
            if shots is not None:
                findings(browser, file, DEUTERANOPIA, shots)
            click.echo(f"{file}: {f'{len(looks)} findings' if looks else 'fine'}")
            for said, names in looks.items():
                click.echo(f"  {', '.join(names)}: {said}")
            bad += bool(looks)
    click.echo(f"{len(files) - bad} of {len(files)} pages are fine.")
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
