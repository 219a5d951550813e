"""What pip was told reaches uv."""

from include.commands.package_index import check_index, pip_options, uv_environment


def test_the_environment_beats_pips_files():
    """A PIP_… variable wins over pip.conf, as it does in pip."""
    listing = ":env:.index-url='https://env/simple'\nglobal.index-url='https://file/simple'\nglobal.cert='/ca.pem'\n"

    expected = {"index-url": "https://env/simple", "cert": "/ca.pem"}
    assert expected == pip_options(listing)


def test_uv_gets_links_index_and_certificates():
    """The space-separated links of pip become uv's comma-separated ones."""
    options = {"find-links": "/wheels /more", "index-url": "https://mirror/simple", "cert": "/ca.pem"}

    told = uv_environment(options, {"PATH": "/bin"})

    assert told["UV_FIND_LINKS"] == "/wheels,/more"
    assert told["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert told["SSL_CERT_FILE"] == "/ca.pem"
    assert told["PATH"] == "/bin"


def test_uvs_own_variables_are_kept():
    """What was said to uv itself is not overruled."""
    told = uv_environment({"index-url": "https://pip/simple"}, {"UV_DEFAULT_INDEX": "https://uv/simple"})

    assert told["UV_DEFAULT_INDEX"] == "https://uv/simple"


def test_an_index_in_a_folder_needs_no_network():
    """A file:// index is not asked over HTTP."""
    check_index({"index-url": "file:///nowhere/simple"})
