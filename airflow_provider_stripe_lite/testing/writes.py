"""What the API takes when it makes or changes objects."""

from __future__ import annotations

__all__ = ["PARAMS", "words"]


def words(text: str) -> dict[str, str]:
    """Return a dict of words such as ``name:value``."""
    return dict(word.split(":") for word in text.split())


# The parameters of a create and an update, as name and type. `any` is taken and forgotten: the
# object does not show it. `numbers` is a hash of them, `merged` a hash whose other parts stay. A
# mark after the type says more: `?` an empty string unsets the parameter, `~` only on updates, `+`
# it exists on creates only, `-` on updates only.
PARAMS = {
    "customer": words(
        "name:str? email:str? description:str? phone:str? metadata:hash? address:hash?"
        " shipping:hash? balance:int account_balance:int preferred_locales:list tax_exempt:str?"
        " business_name:str? individual_name:str? invoice_prefix:str invoice_settings:merged"
        " next_invoice_sequence:int test_clock:str+ default_source:str-"
        " cash_balance:any coupon:any promotion_code:any source:any tax:any tax_info:any"
        " validate:any payment_method:any+ tax_id_data:any+ bank_account:any- card:any-"
        " default_alipay_account:any- default_bank_account:any- default_card:any- trial_end:any-"
    ),
    "product": words(
        "id:str+ name:str active:bool description:str~ images:list~ metadata:hash~ shippable:bool"
        " url:str~ statement_descriptor:str unit_label:str~ caption:str type:str+ attributes:list~"
        " deactivate_on:list default_price:str- default_price_data:hash+ marketing_features:list~"
        " package_dimensions:numbers~ tax_code:str~ tax_details:any"
    ),
    "refund": words(
        "charge:str+ payment_intent:str+ amount:int+ reason:str+ currency:str+"
        " instructions_email:str+ customer:any+ origin:any+ refund_application_fee:any+"
        " reverse_transfer:any+ metadata:hash?"
    ),
}
