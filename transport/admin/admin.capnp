@0xe2a7c90f41d8b653;
# What an operator on the same machine asks of a running node (docs/operating.md): two-party RPC over the Unix socket in its data
# directory, which only the owner of that directory may open. New methods go at the end.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("cohort::transport::admin::wire");

interface Admin {
  run @0 (words :List(Text)) -> (code :Int32, text :Text);
  # A command as it is typed, without the program's name and without the node. `code` is 0, or 1 with the reason in `text`.
}
