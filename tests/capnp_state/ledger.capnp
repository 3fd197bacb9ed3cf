@0xb5a1f3c2d4e60718;
# Two versions of one state, as two programs of an application have them.

struct LedgerV1 {
  total  @0 :Int64;
  owners @1 :List(Text);
}

struct LedgerV2 {
  total    @0 :Int64;            # in cents; version 1 counted in euros
  owners   @1 :List(Text);
  currency @2 :Text = "EUR";     # only added: an older state has the default
}
